/** For every verdict and every decision there is a sentence, in both languages. */
import { sql } from 'kysely'
import t from 'tap'
import { db } from '../../../app/db/kysely.ts'
import { readCdr } from '../../../app/voicenter/parse.ts'
import { legOf, classify, KNOWN_STATUSES } from '../../../app/voicenter/classify.ts'
import { STATE_GROUPS } from '../../../app/web/ops/calls/filter.ts'
import { LANGUAGES } from '../../../app/web/ops/language.ts'
import { howMissed, type Stand, whyOf } from '../../../app/web/ops/why.ts'
import { callsWords } from '../../../app/web/ops/words/calls.ts'
import { whyWords } from '../../../app/web/ops/words/why.ts'

t.teardown(() => db.destroy())

const NOTHING: Stand = {
  verdict: null,
  reason: null,
  outreachState: null,
  outreachReason: null,
  conversationState: null,
  conversationReason: null,
}
const words = whyWords.en

const constraint = async (name: string): Promise<string> => {
  const { rows } = await sql<{ text: string }>`
    select pg_get_constraintdef(oid) as text from pg_constraint where conname = ${name}`.execute(db)
  return rows[0]?.text ?? ''
}

t.test('every decision that the table of missed calls allows has its sentence', async t => {
  const allowed = await constraint('missed_calls_outreach_known')
  const pairs = [...allowed.matchAll(/state = '(\w+)'::text\) AND \(\w+ = '(\w+)'::text/g)]
  const keys = pairs.map(([, state, reason]) => `${state}.${reason}`)
  t.strictSame(keys.toSorted(), Object.keys(words.outreach).toSorted())

  const states = await constraint('lead_conversations_state_known')
  const known = [...states.matchAll(/'(\w+)'::text/g)].map(([, state = '']) => state)
  t.strictSame(known.toSorted(), Object.keys(words.sent).toSorted())
})

const TYPES =
  `Incoming Call|Queue|VoiceMail|XferCDR|Attended CDR leg1|Auto Forward|Click 2 Queue Incoming|Click 2 IVR|
Click2Call leg1|Click2Call leg2|Extension Outgoing|CC|`
    .replaceAll('\n', '')
    .split('|')

/** Records of every kind, as an exchange might send them. */
const records = function* (): Generator<Record<string, unknown>> {
  for (const status of [...KNOWN_STATUSES, 'SOMETHING ELSE'])
    for (const type of TYPES)
      for (const direction of ['', 'Incoming', 'Outgoing', 'Internal'])
        for (const agent of [{}, { targetextension: '' }, { targetextension: 'SIP1' }])
          for (const rest of [
            {},
            { isanswer: '1', duration: 30, dialtime: 1 },
            { callerextension: '7' },
          ])
            yield {
              ivruniqueid: 'one',
              caller: '0521234567',
              did: '0721234567',
              target: '0521234567',
              dialtime: 1,
              status,
              type,
              direction,
              ...agent,
              ...rest,
            }
}

const legFor = (record: Record<string, unknown>) => {
  const read = readCdr(JSON.parse(JSON.stringify(record)))
  return 'cdr' in read ? legOf(read.cdr, new Date()) : null
}

const ROOT = { ivruniqueid: 'one', caller: '0521234567', did: '0721234567', type: 'Incoming Call' }

t.test(
  'every verdict that a call can get has its sentence, and every sentence its verdict',
  async t => {
    // By hand, when judging has failed to the end (app/worker/give_up.ts).
    const given = new Set<string>(['unknown given_up'])
    const statuses = [...KNOWN_STATUSES]
    const answered = legFor({ ...ROOT, status: 'NOANSWER' })
    for (const record of records()) {
      const alone = legFor(record)
      const handedOn = legFor({ ...record, ivruniqueid: 'two', originalivruniqueid: 'one' })
      for (const legs of [[alone], [answered, handedOn]].map(legs =>
        legs.filter(leg => leg !== null),
      ))
        for (const missedStatuses of [[], statuses])
          for (const isOurs of [() => true, () => false]) {
            if (legs.length === 0) continue
            const { verdict, reason } = classify(legs, {
              missedStatuses,
              minRingSeconds: 5,
              isOurs,
            })
            given.add(`${verdict} ${reason}`)
          }
    }
    for (const pair of given) {
      const [verdict = '', reason = ''] = pair.split(' ')
      const stand = { ...NOTHING, verdict, reason }
      for (const language of LANGUAGES) {
        const sentence = whyOf(language, stand)
        t.notMatch(sentence, /_|^answered:|^not_inbound:|^unmatched/, pair)
        const how = howMissed(language, stand)
        t.notOk(sentence.includes(`: ${reason},`) || sentence.includes(`: ${reason}.`), pair)
        t.not(how, reason, pair)
      }
    }
    for (const verdict of ['answered', 'not_inbound', 'unmatched_number', 'unknown'] as const)
      for (const reason of Object.keys(words[verdict]))
        t.ok(given.has(`${verdict} ${reason}`), `${verdict} ${reason} can be given`)
    t.strictSame(
      Object.keys(words.statuses).toSorted(),
      [...statuses.map(status => status.toLowerCase()), 'unknown_status'].toSorted(),
    )
  },
)

t.test('how a conversation ended says more than that a message was sent', async t => {
  const sent = {
    ...NOTHING,
    verdict: 'missed',
    reason: 'noanswer',
    outreachState: 'sent',
    outreachReason: 'accepted',
  }
  const state = (conversationState: string | null, conversationReason: string | null = null) =>
    whyOf('en', { ...sent, conversationState, conversationReason })
  t.equal(state('replied', 'replied'), words.sent.replied)
  t.equal(state('stopped', 'by_operator'), words.stopped.by_operator)
  t.equal(state('stopped', 'something new'), words.sent.stopped)
  t.equal(state(null), words.outreach['sent.accepted'])
  t.equal(
    whyOf('en', { ...sent, verdict: 'answered', reason: 'agent' }),
    `${words.answered.agent} ${words.sentBefore}`,
    'it turned out to be answered after the message had gone',
  )
  t.equal(
    whyOf('en', {
      ...NOTHING,
      verdict: 'answered',
      reason: 'agent',
      outreachState: 'cancelled',
      outreachReason: 'reached_by_phone',
    }),
    words.answered.agent,
  )
})

t.test('what a newer version wrote is shown as it is; what is not judged yet, so', async t => {
  t.equal(whyOf('en', NOTHING), words.unjudged)
  t.equal(
    whyOf('en', { ...NOTHING, verdict: 'answered', reason: 'by_robot' }),
    'answered: by_robot',
  )
  const stand = {
    ...NOTHING,
    verdict: 'missed',
    reason: 'noanswer',
    outreachState: 'skipped',
    outreachReason: 'bored',
  }
  t.equal(whyOf('en', stand), 'skipped.bored')
  t.equal(whyOf('en', { ...stand, outreachReason: 'constructor' }), 'skipped.constructor')
  t.equal(whyOf('en', { ...NOTHING, verdict: 'missed', reason: 'erased' }), words.erased)
})

t.test('every choice of the list stands in its form, once', async t => {
  const { all: _, ...states } = callsWords.en.states
  t.strictSame(Object.values(STATE_GROUPS).flat().toSorted(), Object.keys(states).toSorted())
})
