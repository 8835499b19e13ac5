/** npm run fake-whatsapp: a WhatsApp on this machine, for a first message without Meta. */
import { ADD_WITH_FAKE, announce, FAKE_NUMBER, findRunning } from '../app/development.ts'
import { startFakeWhatsApp } from './fake_whatsapp/server.ts'
import { addNumber } from './processes.ts'
import { processFlags } from './tenant/terminal.ts'

const PORT = 3999
const HELP = `Usage: npm run fake-whatsapp [-- --port ${PORT}] [--ringback URL]

Starts a fake of Meta's WhatsApp Cloud API on this machine, and shows its phones as a page. The messages of Ringback appear on
them, and you can answer as the customer. Its webhooks are signed as Meta's are. Everything is forgotten when it stops.

npm start and npm run tenant use it by themselves while it runs, unless they have a DATABASE_URL, a WHATSAPP_ setting or
NODE_ENV=production. Start it before npm start.

  --port N        its port; default ${PORT}
  --ringback URL  where its webhooks go; default: the running npm start, or http://127.0.0.1:3000
  --help          show this text`

const flags = processFlags('fake-whatsapp', HELP, {
  port: { type: 'string', default: String(PORT) },
  ringback: { type: 'string' },
})

const port = Number(flags.port)
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error('--port: expected a number from 0 to 65535')
  process.exit(2)
}
const fake = await startFakeWhatsApp(port).catch((error: unknown) => {
  const why = error instanceof Error ? error.message : String(error)
  console.error(
    `The fake WhatsApp cannot listen on port ${port}: ${why}. Choose another: npm run fake-whatsapp -- --port ${port + 1}`,
  )
  process.exit(1)
})
// Fixed, so that a Ringback that runs stays connected when the fake is started again.
const settings = {
  WHATSAPP_GRAPH_URL: fake.url,
  WHATSAPP_APP_SECRET: 'fake-app-secret',
  WHATSAPP_VERIFY_TOKEN: 'fake-verify-token',
}
const numbers = ['1', '2', '3'].map(last =>
  addNumber(fake, {
    ...FAKE_NUMBER,
    phoneNumberId: FAKE_NUMBER.phoneNumberId.replace(/1$/, last),
    appSecret: settings.WHATSAPP_APP_SECRET,
    verifyToken: settings.WHATSAPP_VERIFY_TOKEN,
  }),
)
const removeAnnouncement = announce('fake_whatsapp', {
  port: Number(new URL(fake.url).port),
  settings,
})

/** Before its tables exist, Ringback cannot store that its webhook was verified. */
const isReady = (ringback: string): Promise<boolean> =>
  fetch(`${ringback}/readyz?for=webhooks`).then(
    ({ ok }) => ok,
    () => false,
  )

/** The webhooks follow `npm start`, whatever its port. */
let verified = ''
const followStart = () => {
  const running = findRunning('start')
  const ringback = flags.ringback ?? `http://127.0.0.1:${running?.port ?? 3000}`
  const callbackUrl = `${ringback}/webhooks/whatsapp`
  for (const { phoneNumberId } of numbers) fake.addNumber({ phoneNumberId, callbackUrl })
  const [number] = numbers
  if (number && (running || flags.ringback) && verified !== callbackUrl)
    void isReady(ringback).then(async ready => {
      if (ready && (await fake.verify(number.phoneNumberId))) verified = callbackUrl
    })
}
followStart()

console.log(`The fake WhatsApp is running. Its phones: ${fake.url}. Ctrl-C stops it.

${
  findRunning('start')
    ? 'Ringback runs already. Stop it with Ctrl-C and start it again: it then uses this WhatsApp.'
    : 'Start Ringback in another terminal: npm start'
}
Then add a business that sends from here:
  ${ADD_WITH_FAKE}
Further numbers: ${numbers
  .slice(1)
  .map(({ phoneNumberId }) => phoneNumberId)
  .join(', ')}.

A Ringback with a DATABASE_URL of its own needs these settings:
  ${Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}
`)

const time = () => new Date().toTimeString().slice(0, 8)
let shown = 0
let refused = 0
setInterval(() => {
  followStart()
  for (const { to } of fake.accepted().slice(shown)) console.log(`${time()} a message to ${to}`)
  shown = fake.accepted().length
  const failed = fake.deliveries().filter(({ state }) => state === 'given_up')
  if (failed.length > refused)
    console.log(
      `${time()} Ringback did not take a webhook (${failed.at(-1)?.attempts.at(-1)?.status ?? 'no answer'}): start Ringback again, so that it uses this WhatsApp`,
    )
  refused = failed.length
}, 1000)

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    removeAnnouncement()
    void fake.close().then(() => process.exit())
  })
