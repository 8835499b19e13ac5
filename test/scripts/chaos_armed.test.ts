/** The program's named points do nothing unless a harness has armed them. */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { failpoint, FAILPOINT_CHANNEL, type Failpoint, FAILPOINTS } from '../../app/failpoints.ts'
import { type Action, armed } from '../../scripts/chaos/armed.ts'

const ARM = fileURLToPath(new URL('../../scripts/chaos/arm.ts', import.meta.url))
/** Passes a point again and again. */
const PROGRAM = `
  import { pass, POINTS } from '${new URL('../../app/points.ts', import.meta.url).href}'
  setInterval(() => pass(POINTS[0]), 5)
`
const run = promisify(execFile)
const [POINT, OTHER] = FAILPOINTS

const listening = () => {
  const heard: (Failpoint | Action)[] = []
  const { order, passed } = armed({
    tell: ({ hit }) => heard.push(hit),
    die: action => heard.push(action),
  })
  return { heard, order, passed }
}
const usual = { points: [POINT], action: 'kill', skip: 0, afterMs: 0 }

await t.test('passing a point is heard by nobody unless somebody listens', t => {
  t.doesNotThrow(() => failpoint(POINT))
  const heard: unknown[] = []
  const listen = (point: unknown) => void heard.push(point)
  subscribe(FAILPOINT_CHANNEL, listen)
  failpoint(OTHER)
  unsubscribe(FAILPOINT_CHANNEL, listen)
  failpoint(POINT)
  t.same(heard, [OTHER])
  t.end()
})

await t.test('without an order nothing happens, and with one only at its points, once', t => {
  const { heard, order, passed } = listening()
  passed(POINT)
  order({ order: usual })
  passed(OTHER)
  t.same(heard, [])
  passed(POINT)
  passed(POINT)
  t.same(heard, [POINT, 'kill'], 'told before it happens')
  t.end()
})

await t.test('an order lets some pass, waits, and can be taken back', async t => {
  const { heard, order, passed } = listening()
  order({ order: { ...usual, skip: 2 } })
  for (let i = 0; i < 2; i++) passed(POINT)
  t.same(heard, [])
  passed(POINT)
  t.same(heard.splice(0), [POINT, 'kill'])

  order({ order: usual })
  order({ order: null })
  passed(POINT)
  t.same(heard, [])

  order({ order: { ...usual, action: 'stop', afterMs: 20 } })
  passed(POINT)
  t.same(heard, [POINT])
  while (heard.length < 2) await sleep(5)
  t.equal(heard[1], 'stop')
})

await t.test('an order for a point that is none is refused', t => {
  const { order } = listening()
  t.throws(() => order({ order: { ...usual, points: ['lunch'] } }))
  t.throws(() => order({ points: [POINT] }))
  t.end()
})

await t.test('without a harness arm.ts refuses to be loaded', async t => {
  await t.rejects(run(process.execPath, ['--import', ARM, '-e', '']), /belongs to npm run chaos/)
})

await t.test(
  'under a harness a process kills itself at the point, and only when told to',
  async t => {
    const program = `${t.testdir({ 'program.mjs': PROGRAM })}/program.mjs`
    const child = fork(program, { execArgv: ['--import', ARM] })
    t.teardown(() => child.kill('SIGKILL'))
    const told: unknown[] = []
    child.on('message', message => told.push(message))
    const ended = once(child, 'exit')
    child.send({ order: { ...usual, points: [OTHER] } })
    t.equal(await Promise.race([ended, sleep(1000, 'alive')]), 'alive')
    t.same(told, [])
    child.send({ order: usual })
    t.same(await ended, [null, 'SIGKILL'])
    t.same(told, [{ hit: POINT, action: 'kill' }], 'told right before')
  },
)
