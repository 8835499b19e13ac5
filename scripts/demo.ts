/**
 * npm run demo: the whole of Ringback on this machine, with a fake WhatsApp and shortened delays. Plays a
 * morning of calls through the real endpoints and tells what becomes of each.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const { values: flags } = parseArgs({
  options: { once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
})
if (flags.help) {
  console.log(`Usage: npm run demo [-- --once]

Starts Postgres, Ringback and a fake WhatsApp on this machine, adds a business, and plays a morning of
calls with the two minutes shortened to seconds. Then keeps serving, so that you can look around.

  --once  ends when the play has ended: exit code 0 if every call ended as it should, else 1

PORT says where Ringback listens; otherwise it is 3000, or a free port if that one is taken.`)
  process.exit()
}
const { newPlay } = await import('./demo/play.ts')
const { setStage } = await import('./demo/stage.ts')
const { endingOf, inWords, isQuiet } = await import('./demo/watch.ts')

/** Instead of two minutes. */
const DELAY_SECONDS = 3
const BETWEEN_RECORDS_MS = 300
/** How long every call may take to come to its end. */
const END_WITHIN_MS = 45_000
/** How long we watch, once all is quiet, that nothing more happens. */
const QUIET_MS = 1_500

const started = Date.now()
const say = (text: string) =>
  console.log(`${((Date.now() - started) / 1000).toFixed(1).padStart(5)} s  ${text}`)

say('Setting the stage: Postgres, Ringback, a fake WhatsApp')
const stage = await setStage(process.env['PORT'])
await stage.database.query('update tenants set outreach_delay = make_interval(secs => $1)', [
  DELAY_SECONDS,
])
say(`Ringback listens on ${stage.url}; two minutes are ${DELAY_SECONDS} seconds here`)

const play = newPlay()
const answers = new Map<unknown, number>()
for (const scene of play) {
  if (scene.whatsApp) stage.fake.script(scene.whatsApp)
  say(`${scene.who} ${scene.what}`)
  for (const [n, record] of scene.records.entries()) {
    // Long enough for the first record of a call to be judged alone.
    if (n > 0) await sleep(BETWEEN_RECORDS_MS)
    answers.set(scene, await stage.post(record))
  }
}

say('What becomes of them:')
const told = new Map<unknown, string>()
const look = async () => {
  const looks = []
  for (const scene of play) {
    const found = {
      ...(scene.ends.answer && { answer: answers.get(scene) ?? 0 }),
      ...(await endingOf(scene, stage)),
    }
    const words = inWords(found)
    if (found.verdict && words !== told.get(scene)) say(`  ${scene.who}: ${words}`)
    told.set(scene, words)
    looks.push({ scene, words, right: words === inWords(scene.ends) })
  }
  return looks
}
while (
  Date.now() - started < END_WITHIN_MS &&
  !((await look()).every(({ right }) => right) && (await isQuiet(stage)))
)
  await sleep(200)
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
  phones      ${stage.fake.url}
  webhook     ${stage.webhookUrl}
  look inside psql '${stage.databaseUrl}' -c 'select * from call_report()'
  log         ${stage.log}`)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
}
await stage.clear()
process.exitCode = wrong ? 1 : 0
