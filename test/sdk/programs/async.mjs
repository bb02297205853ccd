import * as sdk from 'coppice/async';
import { awaiting, runRows } from './drive.cjs';

await runRows(sdk, awaiting);
