import * as sdk from 'coppice/async';
import { awaiting, runRows } from './rows.cjs';

await runRows(sdk, awaiting);
