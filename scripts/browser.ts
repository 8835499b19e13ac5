/** A real browser for tests and pictures: the Chromium of an npm package, with its own libraries and fonts. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

/** Why there is no browser on this machine; null = there is one. */
export const whyNoBrowser = (): string | null =>
  process.platform === 'linux' && process.arch === 'x64'
    ? null
    : `the browser comes for Linux on x64 only, and this is ${process.platform} on ${process.arch}`

/** Unpacks it into a folder of its own, which goes with it: a shared one may be half unpacked by somebody else. */
export const startBrowser = async (): Promise<{ browser: Browser; close: () => Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-browser-'))
  process.env['TMPDIR'] = folder
  // Upon this it brings what a bare machine lacks. Read when the module is loaded.
  process.env['AWS_EXECUTION_ENV'] ??= 'AWS_Lambda_nodejs22.x'
  const { default: packed } = await import('@sparticuz/chromium')
  // Its one font lacks some signs: only for a machine that has none.
  if (existsSync('/usr/share/fonts')) delete process.env['FONTCONFIG_PATH']
  // Not with the package's own flags: they switch off what protects pages from each other, which is tested here.
  const browser = await chromium.launch({
    executablePath: await packed.executablePath(),
    args: ['--no-sandbox'],
  })
  return {
    browser,
    close: async () => {
      await browser.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
