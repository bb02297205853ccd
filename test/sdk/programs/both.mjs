import * as sdk from 'coppice';
import * as later from 'coppice/async';
import { awaiting, runRows } from './drive.cjs';

// The blocking SDK, awaited.
await runRows({ ...sdk, results: later.results, wait: later.wait }, awaiting);
