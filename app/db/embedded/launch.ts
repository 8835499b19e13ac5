import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChildProcess } from 'node:child_process'
import type { Order } from './place.ts'

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

const KEEPER = join(ROOT, 'scripts/embedded-postgres.ts')

/**
 * Starts a keeper that outlives us. Its own session, so no signal of our terminal reaches it; its
 * own log, so it never writes to a pipe that has gone. Our environment stays here: the hooks of a
 * test runner (NODE_OPTIONS) would run in the keeper, and our secrets would live with the server.
 */
export const launchKeeper = async (order: Order): Promise<ChildProcess> => {
  const log = await open(join(order.folder, 'log'), 'a', 0o600)
  try {
    const keeper = spawn(process.execPath, [KEEPER, JSON.stringify(order)], {
      cwd: '/',
      detached: true,
      env: { LC_ALL: 'C' },
      stdio: ['ignore', log.fd, log.fd],
      windowsHide: true,
    })
    keeper.unref()
    return keeper
  } finally {
    await log.close()
  }
}
