/** The door as somebody finds it who keeps to no rule: bytes on a socket. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { NODE_FLAGS } from '../../scripts/chaos/instance.ts'
import { url } from '../support/ringback.ts'
import { config } from '../../app/config.ts'

/** A connection; what the other side says about errors is of no interest. */
export const dial = async (): Promise<Socket> => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Sends these bytes and nothing more. @returns everything that is answered until the other side hangs up */
export const say = async (bytes: string): Promise<string> => {
  const socket = await dial()
  socket.write(bytes, 'latin1')
  return answerOn(socket)
}

export const answerOn = (socket: Socket): Promise<string> =>
  text(socket).catch((error: unknown) => `cut off: ${String(error)}`)

/** The status of each answer, in order. */
export const statusesIn = (answers: string): number[] =>
  [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))

/** The program as a process of its own, in production and with the flags of the Procfile, and what it says. */
export const program = async (env: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [...NODE_FLAGS, 'app/main.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      ROLE: 'web',
      DATABASE_CONNECTIONS: '9',
      LOG_LEVEL: 'info',
      ENCRYPTION_KEY: config().ENCRYPTION_KEY.toString('base64'),
      ...env,
    },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  const port = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the program ended')))
    createInterface(child.stdout).on('line', line => {
      lines.push(line)
      const found = /"port":(\d+)/.exec(line)?.[1]
      if (found) resolve(found)
    })
  })
  return { child, lines, url: `http://127.0.0.1:${port}` }
}

/** Waits for what is about to happen in another process, but not for ever. */
export const soon = async (happened: () => boolean): Promise<void> => {
  for (let waited = 0; !happened() && waited < 10_000; waited += 20) await sleep(20)
}
