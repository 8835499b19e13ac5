/** A browser for the tests of a file. On a machine for which there is none, the file has no tests. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { startBrowser, whyNoBrowser } from '../../scripts/browser.ts'

const why = whyNoBrowser()
if (why) {
  t.plan(0, why)
  process.exit()
}
const started = await startBrowser()
t.teardown(started.close)

export const { browser } = started

/** A script for `page.evaluate`: returns what does not fit, has no label, or has a repeated id. */
export const faults = readFileSync(new URL('browser_faults.js', import.meta.url), 'utf8')
