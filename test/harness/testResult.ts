/** One test as scripts/test.mjs counts it; every group writes a JSON array of these to COPPICE_TEST_RESULTS. */
export interface TestResult {
  readonly name: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly reason?: string;
}
