/**
 * npm run demo: Ringback on this machine with a fake WhatsApp. Plays a morning of calls and replies through the real
 * endpoints, with shortened delays, and shows what becomes of each call.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { DELAYS, startEnvironment } from './demo/environment.ts'
import { newScenarios, type Result, type Scenario } from './demo/scenarios.ts'
import { sendPopup } from './fake_voicenter/popup.ts'
import { newProgress } from './processes.ts'
import { BOOLEAN, processFlags } from './tenant/terminal.ts'

const HELP = `Usage: npm run demo [-- --once]

Starts Postgres, Ringback and a fake WhatsApp on this machine, adds a business, and plays a morning of
calls and replies. Minutes and hours are shortened to seconds. Then Ringback keeps running, so that you can
look around.

  --once  ends after the last call: exit code 0 if every call ended as it should, else 1

PORT sets the port of Ringback. The default is 3000, or a free port if 3000 is taken.`

const flags = processFlags('demo', HELP, { once: BOOLEAN })

const END_WITHIN_MS = 60_000
/** How long the demo waits at the end for messages that should not come. */
const QUIET_MS = 1_500

const started = Date.now()
const isOver = () => Date.now() - started > END_WITHIN_MS
const say = newProgress(console.log, 1)

say('Starting Postgres, Ringback and a fake WhatsApp')
const environment = await startEnvironment(process.env['PORT'])
const { database, fake, post, popupUrl, phoneNumberId } = environment
say(`Ringback listens on ${environment.url}`)
say(
  `2 minutes are ${DELAYS.outreach} s here, 2 hours ${DELAYS.reminder1} s, 24 hours ${DELAYS.reminder2} s\n`,
)

const ask = async (condition: string): Promise<boolean> => {
  const { rows } = await database.query<{ holds: boolean }>(`select ${condition} as holds`)
  return rows[0]?.holds === true
}
const ALL_CLASSIFIED = 'not exists (select from raw_cdrs where verdict is null)'
const NOTHING_PENDING = `${ALL_CLASSIFIED}
  and not exists (select from missed_calls where outreach_state in ('scheduled', 'sending'))
  and not exists (select from messages where state in ('scheduled', 'sending'))
  and not exists (select from lead_conversations c join messages m on m.lead_conversation_id = c.id
                  where c.state = 'open' and m.state <> 'unknown')`

const answers = new Map<Scenario, number>()
const calls: Promise<void>[] = []

const messagesTo = async ({ phone }: Scenario, count: number): Promise<void> => {
  while (phone && fake.inbox(phone).length < count && !isOver()) await sleep(100)
}
const play = async (scenario: Scenario): Promise<void> => {
  await messagesTo(scenario, scenario.afterMessages ?? 0)
  say(`${scenario.who} ${scenario.what}`)
  for (const cdr of scenario.cdrs) {
    answers.set(scenario, await post(cdr))
    // Jobs run in parallel, but here the order of the CDRs matters.
    while (!(await ask(ALL_CLASSIFIED)) && !isOver()) await sleep(20)
  }
  if (scenario.onWhatsApp && scenario.phone && scenario.callId)
    await fake.inbound({
      kind: 'call',
      with: scenario.phone,
      id: scenario.callId,
      phoneNumberId,
    })
  calls.push(playCall(scenario))
}
/** Plays a later call of the same person, which Voicenter reports while it lasts. */
const playCall = async ({ who, onTheLine = [] }: Scenario): Promise<void> => {
  const start = Date.now()
  for (const { afterSeconds, event } of onTheLine) {
    await sleep(start + afterSeconds * 1000 - Date.now())
    const { body } = await sendPopup(popupUrl, event)
    say(`  ${who}: ${event.status}; the agent's screen gets ${JSON.stringify(body)}`)
  }
}
const reply = async (scenario: Scenario): Promise<void> => {
  const { phone: from, who, reply: text, tap } = scenario
  if (!from || !(text ?? tap)) return
  await messagesTo(scenario, 1)
  await sleep(1000)
  if (isOver()) return
  say(`  ${who} ${tap ? `taps "${tap}"` : `writes: ${text}`}`)
  if (tap) await fake.inbound({ kind: 'button', from, text: tap })
  else if (text) await fake.inbound({ kind: 'text', from, text })
}

const resultOf = async ({ callId, phone, expected }: Scenario): Promise<Result> => {
  const { rows } = await database.query<
    Record<'verdict' | 'outreach' | 'lead', string | null> & { asked: boolean }
  >(
    `select verdict, outreach_state || ' / ' || outreach_reason as outreach, l.state as lead,
            l.callback_requested_at is not null as asked
     from call_report() left join leads l on l.phone = $2 where call_id = $1`,
    [callId, phone],
  )
  const { verdict, outreach, lead, asked } = rows[0] ?? {}
  return {
    ...(verdict && { verdict }),
    ...(outreach && { outreach }),
    ...(expected.lead && lead && { lead }),
    ...(asked && { asked }),
    messages: phone ? fake.inbox(phone).length : 0,
  }
}
/** As text: "missed, sent / accepted, 1 message". */
const textOf = ({ answer, verdict, outreach, lead, asked, messages }: Result): string =>
  [
    answer && `answered ${answer}`,
    verdict,
    outreach,
    lead && `lead ${lead}`,
    asked && 'asked for a call',
    messages === 1 ? '1 message' : `${messages} messages`,
  ]
    .filter(Boolean)
    .join(', ')

const scenarios = newScenarios()
for (const { who, phone, whatsApp } of scenarios) {
  // The pages name people as this terminal does.
  if (phone) fake.setPerson({ phone, name: who })
  if (whatsApp) fake.script(whatsApp)
}
for (const scenario of scenarios) if (!scenario.afterMessages) await play(scenario)
const rest = Promise.all([
  ...scenarios.filter(({ afterMessages }) => afterMessages).map(play),
  ...scenarios.map(reply),
])

say('What becomes of the calls:')
const printed = new Map<Scenario, string>()
/** Compares all results with the expected ones, and prints those that have changed. */
const check = async () => {
  const checks = []
  for (const scenario of scenarios) {
    const answer = scenario.expected.answer && answers.get(scenario)
    const result = { ...(answer && { answer }), ...(await resultOf(scenario)) }
    const text = textOf(result)
    if (result.verdict && text !== printed.get(scenario)) say(`  ${scenario.who}: ${text}`)
    printed.set(scenario, text)
    checks.push({ scenario, text, right: text === textOf(scenario.expected) })
  }
  return checks
}
while (!isOver() && !((await check()).every(({ right }) => right) && (await ask(NOTHING_PENDING))))
  await sleep(200)
await rest
await Promise.all(calls)
await sleep(QUIET_MS)

const checks = await check()
console.log('')
for (const { scenario, text, right } of checks) {
  const expected = right ? '' : `   expected: ${textOf(scenario.expected)}`
  console.log(`${right ? 'ok    ' : 'WRONG '} ${scenario.who.padEnd(13)} ${text}${expected}`)
}
const wrong = checks.filter(({ right }) => !right).length
console.log(`\n${checks.length - wrong} of ${checks.length} calls ended as they should`)

if (!flags.once) {
  console.log(`
Ringback keeps running until you press Ctrl-C.
  the pages    ${environment.url}/ops   (what became of every call, and why)
  phones       ${fake.url}   (read the messages, answer as the customer, and tap the links of the owner)
  webhook      ${environment.webhookUrl}
  look inside  DATABASE_URL='${environment.databaseUrl}' npm run sql -- "select * from call_report()"
  its log      ${environment.log}`)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
}
await environment.stop()
process.exitCode = wrong ? 1 : 0
