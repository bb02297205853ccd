import * as sdk from 'coppice';
import { blocking, runRows } from './drive.cjs';

await runRows(sdk, blocking);
