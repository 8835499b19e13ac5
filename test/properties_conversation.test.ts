/**
 * Conversations in random order, through the real endpoints and tasks: calls and their repeats, replies, opt-outs,
 * answered calls, statuses, cancels, senders that die, hours that pass. A model says what must hold after each step.
 * SEED=... repeats a run, RUNS=... makes it longer.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { sql } from 'kysely'
import { test } from 'tap'
import { db, fake } from './support/ringback.ts'
import { newStory, type Story } from './support/story.ts'

const seed = Number(process.env['SEED']) || randomInt(2 ** 31)

/** What the test knows without reading the database. */
type Model = {
  calls: number
  /** The source of the last opt-out. Null = not opted out. */
  optOut: 'typed' | 'user_preferences' | null
  /** No event so far is a reason for a message. */
  quiet: boolean
  /** A message was reported as failed. */
  failed: boolean
  /** How many templates the person received. */
  templates: number
}
type Command = fc.AsyncCommand<Model, Story>

/** What must always hold; `may` = whether this step may have sent a template. */
const check = async (model: Model, story: Story, may: boolean): Promise<void> => {
  const templates = story.templates()
  const about = JSON.stringify({ model, templates })
  const ids = templates.map(({ id }) => id)
  assert.equal(new Set(ids).size, ids.length, `a message was sent twice: ${about}`)
  if (!may) assert.equal(templates.length, model.templates, `nothing was to be sent: ${about}`)
  model.templates = templates.length

  const { tenantId } = story.shop
  const { rows: messages } = await sql<{
    id: string
    kind: string
    state: string
    call: string
    recent: boolean
  }>`
    select m.id, m.kind, m.state, k.outreach_state as call,
           m.claimed_at > now() - interval '24 hours' as recent
    from messages m join lead_conversations c on c.id = m.lead_conversation_id
    join missed_calls k on k.id = c.missed_call_id
    where m.tenant_id = ${tenantId} and m.direction = 'out' order by m.id`.execute(db)
  for (const { id, kind, state, call } of messages) {
    const arrived = ids.includes(id)
    const row = `${kind} ${state}, call ${call}: ${about}`
    if (['accepted', 'sent', 'delivered', 'read'].includes(state))
      assert.ok(arrived, `not sent, ${row}`)
    if (['cancelled', 'skipped', 'scheduled', 'shadow'].includes(state))
      assert.ok(!arrived, `sent, ${row}`)
    if (kind === 'initial' && call === 'cancelled')
      assert.ok(!arrived, `cancelled and sent, ${row}`)
  }
  const sent = messages.filter(
    ({ kind, state, recent }) =>
      kind === 'initial' &&
      recent &&
      ['accepted', 'sent', 'delivered', 'read', 'sending'].includes(state),
  )
  // A message that failed and was then delivered may be the second within a day.
  if (!model.failed) assert.ok(sent.length <= 1, `two conversations in a day: ${about}`)

  const optOuts = await db
    .selectFrom('opt_outs')
    .select('source')
    .where('tenant_id', '=', tenantId)
    .execute()
  assert.deepEqual(
    optOuts.map(({ source }) => source),
    model.optOut ? [model.optOut] : [],
    about,
  )
  const calls = await db
    .selectFrom('missed_calls')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .execute()
  assert.ok(calls.length <= model.calls, `a call too many: ${about}`)
}

/** A step: its action, and its effect on the model. */
const step = (
  name: string,
  run: (story: Story) => Promise<unknown>,
  means: (model: Model, story: Story) => void | Promise<void> = () => {},
  check_: (model: Model) => boolean = () => true,
): Command => ({
  check: check_,
  toString: () => name,
  run: async (model, story) => {
    await run(story)
    await means(model, story)
    // A step that stops the messages does so at once. What was sent until then has been counted.
    await check(model, story, !model.quiet && model.optOut === null)
  },
})

const quiet = (model: Model) => void (model.quiet = true)
const hasCalled = (model: Model) => model.calls > 0

const missed = step(
  'a call is missed',
  story => story.passes('5 seconds').then(story.missed),
  async (model, story) => {
    model.calls++
    // Within a day of a message, a call is no reason for another.
    model.quiet &&= !(await story.isWaiting())
  },
)
const passes = (...times: string[]) =>
  fc.constantFrom(...times).map(time => step(`${time} pass`, story => story.passes(time)))
const reports = (...statuses: string[]) =>
  fc
    .record({ n: fc.nat(3), status: fc.constantFrom(...statuses), echo: fc.boolean() })
    .map(({ n, status, echo }) =>
      step(
        `${status} is reported of message ${n}`,
        story => story.reports(n, status, echo),
        model => void (model.failed ||= status === 'failed'),
      ),
    )

/** Usual steps: a call, two minutes, a status, hours. Without them no story would get far. */
const USUAL = [
  fc.constant(missed),
  passes('130 seconds'),
  passes('130 seconds'),
  passes('2 hours', '23 hours'),
  reports('sent', 'delivered', 'read'),
]

/** Steps that stop the messages. */
const STOPS = [
  step('a call is answered', story => story.answered(), quiet),
  step('the person is called back', story => story.calledBack(), quiet),
  step('the person replies', story => story.replies(), quiet),
  step(
    'the owner writes',
    story => story.ownerWrites(),
    model => void (model.quiet ||= hasCalled(model)),
  ),
  step(
    'the person writes stop',
    story => story.stops(),
    model => void (model.optOut = 'typed'),
  ),
  step(
    'the person writes start',
    story => story.starts(),
    model => {
      model.optOut = null
      model.quiet = true
    },
  ),
  step(
    'the person taps stop',
    story => story.prefers('stop'),
    model => void (model.optOut ??= 'user_preferences'),
  ),
  step(
    'the person taps resume',
    story => story.prefers('resume'),
    model => {
      if (model.optOut !== 'user_preferences') return
      model.optOut = null
      // What it cancelled stays cancelled.
      model.quiet = true
    },
  ),
]

/** Errors, repeats and late events. */
const TROUBLE = [
  fc.nat(3).map(n =>
    step(
      `call ${n} was answered after all`,
      story => story.answeredAfterAll(n),
      async (model, story) => {
        if (n === model.calls - 1) model.quiet = true
        // A later call that was skipped because of this message is decided again.
        else model.quiet &&= !(await story.isWaiting())
      },
      model => n < model.calls,
    ),
  ),
  fc.nat(20).map(n => step(`record ${n} again`, story => story.tellAgain(n))),
  fc.nat(20).map(n => step(`webhook ${n} again`, story => story.hearAgain(n))),
  reports('failed', 'delivered'),
  fc.nat(3).map(n => step(`an operator cancels call ${n}`, story => story.operatorCancels(n))),
  fc
    .constantFrom(
      { kind: 'error' as const, code: 131000 },
      { kind: 'error' as const, code: 131026 },
      { kind: 'cut' as const },
      { kind: 'http' as const, status: 502 },
    )
    .map(outcome =>
      step(`the next send meets ${outcome.kind}`, async story => story.willMeet(outcome)),
    ),
  fc
    .tuple(
      fc.constantFrom('claimed' as const, 'sent' as const),
      fc.constantFrom('130 seconds', '2 hours', '22 hours'),
    )
    .map(([when, time]) =>
      step(`${time} pass, and a process dies that has ${when}`, async story => {
        await story.isAway(time)
        await story.dies(when)
      }),
    ),
  fc.constant(step('a late sender records its outcome', story => story.recordsLate())),
]

// A story has one or two steps that stop it. With more, most stories would end at once.
const stories = fc
  .tuple(fc.subarray(STOPS, { minLength: 1, maxLength: 2 }), fc.subarray(TROUBLE, { maxLength: 5 }))
  .chain(([stops, trouble]) =>
    fc.commands(
      [...USUAL, ...USUAL, ...trouble, ...[1, 2, 3].map(() => fc.constantFrom(...stops))],
      { maxCommands: 40, size: 'max' },
    ),
  )

/** Days later nothing is pending, and the rows agree with the phone. */
const settled = async (model: Model, story: Story): Promise<void> => {
  fake.clearScripts()
  for (const time of ['2 minutes', '2 hours', '1 day', '1 day', '3 days']) {
    await story.passes(time)
    await check(model, story, !model.quiet && model.optOut === null)
  }
  const { tenantId } = story.shop
  const { rows: pending } = await sql`
    select 'call' from missed_calls where tenant_id = ${tenantId} and outreach_state in ('scheduled', 'sending')
    union all
    select 'message ' || kind from messages where tenant_id = ${tenantId} and state in ('scheduled', 'sending')
    union all
    select 'record' from raw_cdrs where tenant_id = ${tenantId} and verdict is null
    union all
    select 'event' from whatsapp_events where tenant_id = ${tenantId} and outcome is null
    union all
    select 'job ' || task_identifier || ' ' || coalesce(last_error, '') from graphile_worker.jobs`.execute(
    db,
  )
  assert.deepEqual(pending, [], 'nothing is pending')
  const { rows: counts } = await sql<{ deliveries: number; raw: number }>`
    select sum(deliveries)::int as deliveries, count(*)::int as raw from raw_cdrs where tenant_id = ${tenantId}`.execute(
    db,
  )
  if (story.told.length)
    assert.deepEqual(
      counts,
      [
        {
          deliveries: story.told.length,
          raw: new Set(story.told.map(one => JSON.stringify(one))).size,
        },
      ],
      'each CDR is stored once, and its deliveries are counted',
    )
}

await test('in every order of events, each message is sent once and for a reason', async t => {
  t.comment(`SEED=${seed}`)
  await fc.assert(
    fc.asyncProperty(stories, async steps => {
      const model: Model = { calls: 0, optOut: null, quiet: true, failed: false, templates: 0 }
      const story = await newStory()
      await fc.asyncModelRun(() => ({ model, real: story }), [missed, ...steps])
      await settled(model, story)
    }),
    {
      seed,
      numRuns: Number(process.env['RUNS']) || 15,
      endOnFailure: Boolean(process.env['FAST']),
      interruptAfterTimeLimit: 90_000,
    },
  )
  t.pass()
})
