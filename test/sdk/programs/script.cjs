'use strict';
const sdk = require('coppice');
const { blocking, runRows } = require('./rows.cjs');

runRows(sdk, blocking);
