'use strict';
const sdk = require('coppice');
const { blocking, runRows } = require('./drive.cjs');

runRows(sdk, blocking);
