/** A Chromium for tests and pictures, from an npm package that contains its libraries and fonts. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser } from 'playwright-core'

export const whyNoBrowser = (): string | null =>
  process.platform === 'linux' && process.arch === 'x64'
    ? null
    : `the browser exists only for Linux on x64, and this is ${process.platform} on ${process.arch}`

/** Unpacks the browser into a new folder. In a shared folder another process may not have finished unpacking. */
export const startBrowser = async (): Promise<{ browser: Browser; close: () => Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), 'ringback-browser-'))
  process.env['TMPDIR'] = folder
  // With this variable the package also unpacks the libraries. It reads the variable when it is imported.
  process.env['AWS_EXECUTION_ENV'] ??= 'AWS_Lambda_nodejs22.x'
  const { default: packed } = await import('@sparticuz/chromium')
  // The package's only font lacks some characters, so it is used only on a machine without fonts.
  if (existsSync('/usr/share/fonts')) delete process.env['FONTCONFIG_PATH']
  // The package's own flags would switch off the isolation of pages, which the tests need.
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
