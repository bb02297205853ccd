import * as sdk from 'coppice';
import { blocking, runRows } from './rows.cjs';

await runRows(sdk, blocking);
