/**
 * Mutation testing: each line of what decides and what guards is broken in turn, and some test must notice. By hand,
 * one part at a time; the scores stand in docs/reliability.md:
 *
 *   npm --prefix scripts/mutation ci
 *   PART=verdict scripts/mutation/node_modules/.bin/stryker run scripts/mutation/stryker.config.mjs
 *
 * With the node of this project first in PATH (npm exec, or node_modules/.bin).
 */
const PARTS = {
  verdict: ['app/voicenter/verdict.ts', 'test/voicenter/verdict.test.ts'],
  eligibility: ['app/outreach/eligibility.ts', 'test/outreach/eligibility.test.ts'],
  timing: ['app/outreach/timing.ts', 'test/outreach/timing.test.ts'],
  ledger: [
    'app/messages/ledger.ts',
    'test/tasks/lead_outreach_once.test.ts',
    'test/tasks/lead_outreach_retry.test.ts',
    'test/tasks/easily_overlooked.test.ts',
    'test/outreach/statuses.test.ts',
    'test/outreach/statuses_failed.test.ts',
    'test/outreach/statuses_unknown.test.ts',
  ],
  ingest: [
    'app/voicenter/ingest.ts',
    'test/web/duplicates.test.ts',
    'test/web/storing.test.ts',
    'test/web/arrays.test.ts',
    'test/web/input.test.ts',
    'test/tasks/call_log.test.ts',
  ],
}
const part = PARTS[process.env.PART ?? '']
if (!part) throw new Error(`Set PART to one of ${Object.keys(PARTS).join(', ')}`)
const [file, ...testFiles] = part

export default {
  testRunner: 'tap',
  plugins: ['@stryker-mutator/tap-runner'],
  mutate: [file],
  tap: {
    testFiles,
    nodeArgs: ['--import=./test/support/database.ts', '-r', '{{hookFile}}', '{{testFile}}'],
    forceBail: true,
  },
  // The template database of the tests, in the copy of the project that is broken.
  buildCommand: 'node test/support/template.ts',
  coverageAnalysis: 'off',
  // It would rewrite tsconfig.json with an API that TypeScript 7 does not have.
  tsconfigFile: 'left-alone.json',
  ignorePatterns: ['.data', '.tap', 'docs', 'scripts/mutation'],
  tempDirName: '.data/mutation',
  reporters: ['progress', 'clear-text'],
  concurrency: 1,
  timeoutMS: 60_000,
}
