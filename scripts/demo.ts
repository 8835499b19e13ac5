/**
 * npm run demo: the whole of Ringback on this machine, with a fake WhatsApp and shortened delays. Plays a
 * morning of calls and replies through the real endpoints and tells what becomes of each.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Scene } from './demo/play.ts'

const { values: flags } = parseArgs({
  options: { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
})
if (flags.help) {
  console.log(`Usage: npm run demo [-- --once]

Starts Postgres, Ringback and a fake WhatsApp on this machine, adds a business, and plays a morning of
calls and replies with minutes and hours shortened to seconds. Then keeps serving, so that you can look
around.

  --once  ends when the play has ended: exit code 0 if every call ended as it should, else 1

PORT says where Ringback listens; otherwise it is 3000, or a free port if that one is taken.`)
  process.exit()
}
const { newPlay } = await import('./demo/play.ts')
const { DELAYS, setStage } = await import('./demo/stage.ts')
const { endingOf, inWords, isJudged, isQuiet } = await import('./demo/watch.ts')

/** How long the whole play may take. */
const END_WITHIN_MS = 60_000
/** How long we watch, once all is quiet, that nothing more happens. */
const QUIET_MS = 1_500

const started = Date.now()
const isOver = () => Date.now() - started > END_WITHIN_MS
const say = (text: string) =>
  console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${text}`)

say('Setting the stage: Postgres, Ringback, a fake WhatsApp')
const stage = await setStage(process.env['PORT'])
say(`Ringback listens on ${stage.url}`)
say(
  `2 minutes are ${DELAYS.outreach} s here, 2 hours ${DELAYS.reminder1} s, 24 hours ${DELAYS.reminder2} s\n`,
)

const answers = new Map<Scene, number>()
const play = newPlay()

const messagesFor = async ({ phone }: Scene, count: number) => {
  while (phone && stage.fake.inbox(phone).length < count && !isOver()) await sleep(100)
}
const perform = async (scene: Scene) => {
  if (scene.after) await messagesFor(scene, scene.after)
  say(`${scene.who} ${scene.what}`)
  for (const record of scene.records) {
    answers.set(scene, await stage.post(record))
    // Jobs run side by side; in the play each record is judged before the next one comes.
    while (!(await isJudged(stage)) && !isOver()) await sleep(20)
  }
}
const reply = async (scene: Scene) => {
  await messagesFor(scene, 1)
  // She reads it first.
  await sleep(1000)
  if (isOver() || !scene.phone || !scene.writes) return
  say(`  ${scene.who} writes: ${scene.writes}`)
  await stage.fake.inbound({ kind: 'text', from: scene.phone, text: scene.writes })
}

for (const scene of play) if (scene.whatsApp) stage.fake.script(scene.whatsApp)
for (const scene of play.filter(({ after }) => !after)) await perform(scene)
const later = Promise.all([
  ...play.filter(({ after }) => after).map(perform),
  ...play.filter(({ writes }) => writes).map(reply),
])

say('What becomes of them:')
const told = new Map<Scene, string>()
const look = async () => {
  const looks = []
  for (const scene of play) {
    const answer = scene.ends.answer && answers.get(scene)
    const found = { ...(answer && { answer }), ...(await endingOf(scene, stage)) }
    const words = inWords(found)
    if (found.verdict && words !== told.get(scene)) say(`  ${scene.who}: ${words}`)
    told.set(scene, words)
    looks.push({ scene, words, right: words === inWords(scene.ends) })
  }
  return looks
}
while (!isOver() && !((await look()).every(({ right }) => right) && (await isQuiet(stage))))
  await sleep(200)
await later
await sleep(QUIET_MS)

const looks = await look()
console.log('')
for (const { scene, words, right } of looks)
  console.log(
    `${right ? 'ok    ' : 'WRONG '} ${scene.who.padEnd(13)} ${words}${right ? '' : `   expected: ${inWords(scene.ends)}`}`,
  )
const wrong = looks.filter(({ right }) => !right).length
console.log(`\n${looks.length - wrong} of ${looks.length} calls ended as they should`)

if (!flags.once) {
  console.log(`
Ringback goes on serving until you press Ctrl-C.
  the pages    ${stage.url}/ops   (what became of every call, and why)
  phones       ${stage.fake.url}   (read along, and answer as the customer)
  webhook      ${stage.webhookUrl}
  look inside  psql '${stage.databaseUrl}' -c 'select * from call_report()'
  its log      ${stage.log}`)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
}
await stage.clear()
process.exitCode = wrong ? 1 : 0
