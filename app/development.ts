/** How the programs on a development machine find each other: `npm start`, its commands and the fake WhatsApp. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { dataFolder } from './config.ts'

/** A running program's announcement to the others, in a file under `.data/`. They use `settings` to reach it. */
const announcement = z.object({
  pid: z.int(),
  port: z.int(),
  settings: z.record(z.string(), z.string()),
})
type Announcement = z.infer<typeof announcement>
type Program = 'start' | 'fake_whatsapp'

const fileOf = (program: Program, folder: string): string => join(folder, `running_${program}.json`)

/**
 * The first copy of a program that still runs stays announced. A second one is not, because the first would then be lost.
 *
 * @returns `removeAnnouncement`, to be called when the program stops
 */
export const announce = (
  program: Program,
  facts: Omit<Announcement, 'pid'>,
  folder = dataFolder,
): (() => void) => {
  const file = fileOf(program, folder)
  const running = findRunning(program, folder)
  if (running && running.pid !== process.pid) return () => {}
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, JSON.stringify({ pid: process.pid, ...facts }), { mode: 0o600 })
  return () => {
    // Another copy may have announced itself meanwhile.
    if (findRunning(program, folder)?.pid === process.pid) rmSync(file, { force: true })
  }
}

/** The announcement of a program, if it still runs. */
export const findRunning = (program: Program, folder = dataFolder): Announcement | null => {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(fileOf(program, folder), 'utf8'))
  } catch {
    // No such program was started, or its file is being written.
    return null
  }
  const { data } = announcement.safeParse(json)
  return data && isAlive(data.pid) ? data : null
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

type Env = Record<string, string | undefined>

/** Whether this process belongs to the `npm start` of this folder: not in production, and with the embedded database. */
export const isDevelopment = (env: Env): boolean =>
  env['NODE_ENV']?.toLowerCase() !== 'production' && !env['DATABASE_URL']

/**
 * Settings for this process from programs that run on this machine: those of a fake WhatsApp, and for commands the address
 * of `npm start`. If the process has one of these settings itself, it gets none of them.
 */
export const settingsFrom = (
  program: Program,
  env: Env,
  folder = dataFolder,
): Record<string, string> => {
  const settings = isDevelopment(env) && findRunning(program, folder)?.settings
  return settings && !Object.keys(settings).some(name => env[name]) ? settings : {}
}

const ADD = `npm run tenant -- add --name "Noa's Salon" --number 072-277-6772`
/** A number that the fake WhatsApp has, with its access token. */
export const FAKE_NUMBER = { phoneNumberId: '100000000000001', token: 'fake' }
export const ADD_WITH_FAKE = `WHATSAPP_TOKEN=${FAKE_NUMBER.token} ${ADD} --mode live --phone-number-id ${FAKE_NUMBER.phoneNumberId} --access-token-env WHATSAPP_TOKEN`

/**
 * A command that posts a missed call. Its CallID is new each time.
 *
 * @param did the number that was dialled, in E.164
 * @param caller of a message that could reach a real phone, the reader's own number
 */
export const curlMissedCall = (webhookUrl: string, did: string, caller: string): string =>
  `curl "${webhookUrl}" -d "ivruniqueid=try-$(date +%s)&caller=${caller}&did=${did.replace('+', '')}&status=NOANSWER"`

/** A caller for trials, where no message reaches a real phone. */
export const TRIAL_CALLER = '0523456789'

/** The text that `npm start` prints on a terminal. */
export const welcome = ({
  url,
  production,
  fakeUrl,
  hasBusiness,
}: {
  url: string
  production: boolean
  fakeUrl: string | undefined
  hasBusiness: boolean
}): string => {
  const lines = [`Ringback is running. Its page: ${url}/ops. Ctrl-C stops it.`]
  if (fakeUrl) lines.push(`WhatsApp is the fake one. Its phones: ${fakeUrl}`)
  if (production) return lines.join('\n')
  if (!hasBusiness)
    lines.push(
      '',
      'There is no business yet. Add one in another terminal; the command prints the webhook URL with its token:',
      `  ${fakeUrl ? ADD_WITH_FAKE : ADD}`,
    )
  lines.push(
    '',
    'Post a missed call (TOKEN is in the webhook URL):',
    `  ${curlMissedCall(`${url}/webhooks/voicenter/cdr?token=TOKEN`, '+972722776772', fakeUrl ? TRIAL_CALLER : 'YOUR_MOBILE')}`,
    '',
    'Look into the database:',
    '  npm run sql -- "select * from call_report()"',
  )
  if (!fakeUrl)
    lines.push(
      '',
      'To see a first message without Meta, stop this, run this in another terminal, and start again:',
      '  npm run fake-whatsapp',
    )
  return lines.join('\n')
}
