/**
 * The types of the rows that raw SQL returns are written by hand. This test runs the statements and compares these types
 * with the columns that Postgres returns. A list of columns that does not fit its TypeScript type does not compile.
 */
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import {
  deliveriesOf,
  lastAttempts,
  type LastAttempt,
  type ShownDelivery,
  testEndpoint,
} from '../app/events/deliveries.ts'
import { type Endpoint, listEndpoints } from '../app/events/endpoints.ts'
import { claimDelivery, type DeliveryRow, type EndpointRow } from '../app/events/outbox.ts'
import type { NoticeRow, ReminderRow } from '../app/messages/kinds.ts'
import type { ScheduledReminder } from '../app/messages/effects.ts'
import type { Message, UnclaimedMessage } from '../app/messages/message.ts'
import type { SenderRow } from '../app/messages/sender.ts'
import type { UnknownMessage } from '../app/messages/statuses.ts'
import type { ContextRow } from '../app/outreach/contact_context.ts'
import { type LiftRow, loadLift } from '../app/outreach/control_group.ts'
import type { LeadRow, RecordedRow } from '../app/outreach/missed_calls.ts'
import type { Seen } from '../app/outreach/notices.ts'
import {
  type CollectedRow,
  type Notice,
  readCollected,
  type RepeatCalls,
} from '../app/outreach/notify_owner.ts'
import { type LockedLead, markCalledBack } from '../app/outreach/lead_actions.ts'
import { cancelOutreach, type Progress } from '../app/outreach/operator_actions.ts'
import { figuresOf, queueSummaries, type Recipient } from '../app/outreach/owner_summaries.ts'
import { type Person, waitingPeople } from '../app/outreach/people.ts'
import { findPeople, findPerson, type PersonDetails } from '../app/outreach/people_search.ts'
import type { WeekFigures } from '../app/outreach/summaries.ts'
import { type CallRow, loadThread, type MessageRow } from '../app/outreach/thread.ts'
import {
  type EarlierSubmission,
  readReplyState,
  type ReplyState,
  sendManual,
} from '../app/outreach/reply_by_hand.ts'
import { upcoming, type UpcomingMessage } from '../app/outreach/waiting.ts'
import { findListed, type ListedRow } from '../app/outreach/exclusions.ts'
import { type ApiCallRow, loadCalls } from '../app/web/api/calls.ts'
import { type Exclusion, listExclusions } from '../app/privacy/do_not_contact.ts'
import type { ChecklistRow } from '../app/tenants/checklist_facts.ts'
import { loadGoLiveWarnings } from '../app/tenants/go_live.ts'
import type { Event } from '../tasks/whatsapp_event.ts'
import { endpointOf } from './events/support.ts'
import { contacted, owned, reported, writes } from './outreach/support.ts'
import { db, reminderDue } from './support/ringback.ts'
import { connectionOf, settled } from './support/steps.ts'
import { miss } from './tasks/support.ts'
import { leadOf } from './web/ops/support.ts'

type PgType<T> = [T] extends [Date]
  ? 'timestamptz'
  : [T] extends [boolean]
    ? 'bool'
    : [T] extends [number]
      ? 'int4' | 'float8'
      : [T] extends [string]
        ? 'text' | 'int8'
        : [T] extends [readonly string[]]
          ? '_text'
          : 'jsonb'
type Columns<Row> = { [Name in keyof Required<Row>]: PgType<NonNullable<Row[Name]>> }

const MESSAGE: Columns<Message> & Columns<UnclaimedMessage> = {
  id: 'int8',
  state: 'text',
  reason: 'text',
  kind: 'text',
  attempts: 'int4',
  claimedAt: 'timestamptz',
  connectionId: 'int8',
  text: 'text',
  templateName: 'text',
  templateLanguage: 'text',
  occasion: 'text',
  isTest: 'bool',
  isDigest: 'bool',
  isAnswer: 'bool',
  tenantId: 'int8',
  to: 'text',
  dueAt: 'timestamptz',
  isDue: 'bool',
  holdReason: 'text',
  isHoldOver: 'bool',
  leadId: 'int8',
  leadName: 'text',
  conversationId: 'int8',
  conversationState: 'text',
  conversationReason: 'text',
  missedCallId: 'int8',
  callState: 'text',
  dialled: 'text',
  calledAt: 'timestamptz',
}
const CONTEXT: Columns<ContextRow> = {
  n: 'int4',
  now: 'timestamptz',
  mode: 'text',
  contactForeign: 'bool',
  timezone: 'text',
  location: 'text',
  quietWindows: '_text',
  reminderQuietWindows: '_text',
  outreachDelay: 'float8',
  repeatWindow: 'float8',
  oldestCall: 'float8',
  grace: 'float8',
  reminderGrace: 'float8',
  ownNumber: 'bool',
  excluded: 'bool',
  optedOut: 'bool',
  connection: 'text',
  reachedUntil: 'timestamptz',
  wroteAt: 'timestamptz',
  ownerWroteAt: 'timestamptz',
  sending: 'bool',
  firstDueAt: 'timestamptz',
  reminderDueAt: 'timestamptz',
  sentAt: 'timestamptz',
  liveEvents: 'jsonb',
  lastLook: 'bool',
  holdoutPercent: 'int4',
}
const SENDER: Columns<SenderRow> = {
  connectionId: 'int8',
  phoneNumberId: 'text',
  accessToken: 'text',
  tenantId: 'int8',
  businessName: 'text',
  timezone: 'text',
  languages: '_text',
  openingHours: '_text',
  templates: 'jsonb',
  isMarketing: 'bool',
}
const REMINDER: Columns<ReminderRow> = { previous: 'text', connectionId: 'int8', nextIsDue: 'bool' }
const NOTICE: Columns<NoticeRow> = {
  name: 'text',
  phone: 'text',
  dialled: 'text',
  ownerPhone: 'text',
  credential: 'text',
}
const SEEN: Columns<Seen> = {
  notifiedAt: 'timestamptz',
  readAt: 'timestamptz',
  talkedAt: 'timestamptz',
  conversationAt: 'timestamptz',
}
const COLLECTED: Columns<CollectedRow> = {
  leadId: 'int8',
  name: 'text',
  phone: 'text',
  text: 'text',
  language: 'text',
}
const SCHEDULED: Columns<ScheduledReminder> = {
  id: 'int8',
  kind: 'text',
  due_at: 'timestamptz',
  timezone: 'text',
  location: 'text',
  quietWindows: '_text',
  reminderQuietWindows: '_text',
}
const UNKNOWN: Columns<UnknownMessage> = {
  id: 'int8',
  state: 'text',
  isExpired: 'bool',
  fits: 'bool',
}
const LEAD: Columns<LeadRow> = { id: 'int8', calls: 'int4', tenantId: 'int8', phone: 'text' }
const RECORDED: Columns<RecordedRow> = { id: 'int8', tenantId: 'int8', callId: 'text' }
const NOTIFIED: Columns<Notice> = {
  id: 'int8',
  tenantId: 'int8',
  phone: 'text',
  mayBeExcluded: 'bool',
}
const EXCLUSION: Columns<Exclusion> = { phone: 'text', note: 'text', createdAt: 'timestamptz' }
const REPEAT: Columns<RepeatCalls> = { calls: 'int4', told: 'bool' }
const REPLY_STATE: Columns<ReplyState> = {
  windowOpenUntil: 'timestamptz',
  refusal: 'text',
  lastReplyId: 'int8',
}
const SUBMISSION: Columns<EarlierSubmission> = {
  id: 'int8',
  lead_id: 'int8',
  state: 'text',
  text: 'text',
}
const PROGRESS: Columns<Progress> = {
  outreach: 'text',
  conversation: 'text',
  messages_waiting: 'int4',
}
const LOCKED_LEAD: Columns<LockedLead> = {
  phone: 'text',
  state: 'text',
  calledBackAt: 'timestamptz',
  calledBackFrom: 'text',
  callbackRequestedAt: 'timestamptz',
  callbackClosed: 'timestamptz',
  reopenedAt: 'timestamptz',
  laterUntil: 'timestamptz',
  outcome: 'text',
  outcomeValue: 'text',
  note: 'text',
  heardSince: 'bool',
  wasReached: 'bool',
}
const PERSON: Columns<Person> = {
  leadId: 'int8',
  phone: 'text',
  name: 'text',
  state: 'text',
  outcome: 'text',
  tenantId: 'int8',
  tenant: 'text',
  timezone: 'text',
  now: 'timestamptz',
  calls: 'int4',
  waits: 'text',
  since: 'timestamptz',
  isUnread: 'bool',
  wroteAt: 'timestamptz',
  text: 'text',
  calledAt: 'timestamptz',
  missedCallId: 'int8',
  outreachState: 'text',
  outreachReason: 'text',
  conversationState: 'text',
  conversationReason: 'text',
  outcomeValue: 'text',
  outcomeAt: 'timestamptz',
  note: 'text',
  calledBackAt: 'timestamptz',
  callbackRequestedAt: 'timestamptz',
  windowOpenUntil: 'timestamptz',
  createdAt: 'timestamptz',
  cursor: 'text',
}
const PERSON_DETAILS: Columns<PersonDetails> = {
  ...PERSON,
  optOutSource: 'text',
  isExcluded: 'bool',
  exclusionNote: 'text',
}
const CALL_ROW: Columns<CallRow> = {
  id: 'int8',
  source: 'int4',
  at: 'timestamptz',
  channel: 'text',
  verdict: 'text',
  reason: 'text',
  outreachState: 'text',
  outreachReason: 'text',
  conversationState: 'text',
  conversationReason: 'text',
  cursor: 'text',
}
const MESSAGE_ROW: Columns<MessageRow> = {
  id: 'int8',
  at: 'timestamptz',
  direction: 'text',
  kind: 'text',
  state: 'text',
  reason: 'text',
  errorCode: 'int4',
  text: 'text',
  templateName: 'text',
  calledAt: 'timestamptz',
  ownName: 'text',
  ownBody: 'text',
  ownVariables: '_text',
  cursor: 'text',
}
const UPCOMING: Columns<UpcomingMessage> = {
  id: 'int8',
  dueAt: 'timestamptz',
  now: 'timestamptz',
  kind: 'text',
  tenantId: 'int8',
  tenant: 'text',
  timezone: 'text',
  mode: 'text',
  location: 'text',
  quietWindows: '_text',
  reminderQuietWindows: '_text',
  missedCallId: 'int8',
  phone: 'text',
  name: 'text',
  cursor: 'text',
  connection: 'text',
  templatePaused: 'bool',
  isMarketing: 'bool',
  before: 'text',
  isInCall: 'bool',
  isUnread: 'bool',
  jobDead: 'bool',
}
const EVENT: Columns<Event> = {
  id: 'int8',
  tenant_id: 'int8',
  connection_id: 'int8',
  owner_phone: 'text',
  waba_id: 'text',
  is_known_account: 'bool',
  is_awaited: 'bool',
  field: 'text',
  kind: 'text',
  person_ids: '_text',
  lane: 'text',
  sent_at: 'timestamptz',
  payload: 'jsonb',
  is_young: 'bool',
  was_unassigned: 'bool',
  is_hidden: 'bool',
  is_late: 'bool',
  happened_at: 'timestamptz',
  received_at: 'timestamptz',
}
const CHECKLIST: Columns<ChecklistRow> = {
  firstCallAt: 'timestamptz',
  quietChosenAt: 'timestamptz',
  verifiedAt: 'timestamptz',
  refusedAt: 'timestamptz',
  testState: 'text',
  testCode: 'int4',
  testWamid: 'text',
  testPhoneNumberId: 'text',
  acceptedAt: 'timestamptz',
}
const RECIPIENT: Columns<Recipient> = {
  tenantId: 'int8',
  now: 'timestamptz',
  language: 'text',
  timezone: 'text',
  location: 'text',
  quietWindows: '_text',
  reminderQuietWindows: '_text',
  ownerPhone: 'text',
  grace: 'float8',
  digestAt: 'timestamptz',
  weekAt: 'timestamptz',
}
const WEEK: Columns<WeekFigures> = {
  missed: 'int4',
  contacted: 'int4',
  replied: 'int4',
  reached: 'int4',
  won: 'int4',
  value: 'float8',
}
const LIFT: Columns<LiftRow> = {
  arm: 'text',
  callers: 'int4',
  recovered: 'int4',
  rate: 'float8',
  lift: 'float8',
  low: 'float8',
  high: 'float8',
  enough: 'bool',
}
const API_CALL: Columns<ApiCallRow> = {
  recordId: 'int8',
  missedId: 'int8',
  callId: 'text',
  channel: 'text',
  at: 'timestamptz',
  receivedAt: 'timestamptz',
  caller: 'text',
  businessPhone: 'text',
  verdict: 'text',
  reason: 'text',
  outreachState: 'text',
  outreachReason: 'text',
  dueAt: 'timestamptz',
  conversationState: 'text',
  leadId: 'int8',
  campaign: 'jsonb',
  mark: 'text',
}
const ENDPOINT_ROW: Columns<EndpointRow> = {
  id: 'int8',
  tenantId: 'int8',
  url: 'text',
  state: 'text',
  failures: 'int4',
  pausedUntil: 'timestamptz',
  secret: 'text',
  previousSecret: 'text',
  now: 'timestamptz',
}
const DELIVERY_ROW: Columns<DeliveryRow> = {
  state: 'text',
  attempts: 'int4',
  dueAt: 'timestamptz',
  claimedAt: 'timestamptz',
  running: 'int4',
  webhookId: 'text',
  type: 'text',
  data: 'jsonb',
  createdAt: 'timestamptz',
}
const ENDPOINT: Columns<Endpoint> = {
  endpointId: 'int8',
  url: 'text',
  events: '_text',
  state: 'text',
  stateReason: 'text',
  waiting: 'int4',
  rotatingUntil: 'timestamptz',
  createdAt: 'timestamptz',
}
const SHOWN_DELIVERY: Columns<ShownDelivery> = {
  deliveryId: 'int8',
  webhookId: 'text',
  type: 'text',
  state: 'text',
  attempts: 'int4',
  status: 'int4',
  error: 'text',
  createdAt: 'timestamptz',
  attemptedAt: 'timestamptz',
  dueAt: 'timestamptz',
}
const LAST_ATTEMPT: Columns<LastAttempt> = {
  endpointId: 'int8',
  at: 'timestamptz',
  webhookId: 'text',
  type: 'text',
  status: 'int4',
  error: 'text',
}
const LISTED: Columns<ListedRow> = { phone: 'text', optedOut: 'bool', excluded: 'bool' }
const EXPECTED: Record<string, Record<string, string>> = {
  MESSAGE,
  CONTEXT,
  SENDER,
  REMINDER,
  NOTICE,
  SEEN,
  COLLECTED,
  SCHEDULED,
  UNKNOWN,
  LEAD,
  RECORDED,
  REPEAT,
  NOTIFIED,
  EXCLUSION,
  PROGRESS,
  REPLY_STATE,
  SUBMISSION,
  LOCKED_LEAD,
  PERSON,
  PERSON_DETAILS,
  CALL_ROW,
  MESSAGE_ROW,
  UPCOMING,
  EVENT,
  CHECKLIST,
  RECIPIENT,
  WEEK,
  LIFT,
  API_CALL,
  LISTED,
  ENDPOINT_ROW,
  DELIVERY_ROW,
  ENDPOINT,
  SHOWN_DELIVERY,
  LAST_ATTEMPT,
}

const nameOfType = new Map(Object.entries(pg.types.builtins).map(([name, oid]) => [oid, name]))
const typeName = (oid: number): string =>
  oid === 1009 ? '_text' : (nameOfType.get(oid)?.toLowerCase() ?? String(oid))

/** The columns that each statement returned, sorted. */
const returned = new Set<string>()
const asText = (columns: [string, string][]) =>
  columns
    .map(column => column.join(' '))
    .toSorted()
    .join()
// oxlint-disable-next-line typescript/unbound-method -- it is called with its own `this`
pg.Client.prototype.query = new Proxy(pg.Client.prototype.query, {
  apply: (target, self, args: unknown[]) => {
    const result: unknown = Reflect.apply(target, self, args)
    if (result instanceof Promise)
      result.then(
        (answer: Partial<pg.QueryResult>) =>
          returned.add(
            asText(
              (answer.fields ?? []).map(({ name, dataTypeID }) => [name, typeName(dataTypeID)]),
            ),
          ),
        () => {},
      )
    return result
  },
})

await t.test('the rows have the columns that their types say', async t => {
  const { shop, who, id, conversation } = await contacted()
  await reported(conversation, 'initial', 'delivered')
  await reminderDue(conversation, 1)
  await miss(shop, who.local)
  await miss(shop, who.local)
  const { shop: theirs, who: other } = await owned()
  await writes(other.e164, 'hello')
  const { tenantId } = theirs
  const { id: leadId } = await leadOf(tenantId, other.e164)
  await db.transaction().execute(async trx => {
    await waitingPeople(trx, { tenantId: null, before: null, limit: 100 })
    await findPeople(trx, { tenantId: null, written: 'hello' })
    const person = await findPerson(trx, leadId, null)
    if (person) await loadThread(trx, person, { before: null, limit: 10 })
    await upcoming(trx, { tenantId: null, after: null, limit: 1 })
    await loadGoLiveWarnings(trx, shop.tenantId)
    await readReplyState(trx, { tenantId, leadId })
    await sendManual(trx, { as: 'command line' }, { tenantId, leadId, text: 'hi', key: 'one' })
    await markCalledBack(trx, { as: 'command line' }, { tenantId, leadId })
    await listExclusions(trx, shop.tenantId)
    await findListed(trx, tenantId, [other.e164])
    const found = sql`select id as record_id, null::bigint as missed_id, id, received_at as at from raw_cdrs`
    await loadCalls(trx, found)
    await figuresOf(trx, { tenantId, from: new Date(0), until: new Date() })
    await loadLift(trx, { tenantId, from: new Date(0), until: new Date() })
    await readCollected(trx, { id: null, tenantId, dueAt: new Date() })
    await cancelOutreach(trx, { as: 'command line' }, { tenantId: shop.tenantId, missedCallId: id })
  })
  const endpoint = { tenantId, ...(await endpointOf(theirs, 'http://127.0.0.1:1/')) }
  await db.transaction().execute(async trx => {
    const { deliveryId } = await testEndpoint(trx, { as: 'command line' }, endpoint)
    await claimDelivery(trx, deliveryId)
    await listEndpoints(trx, tenantId)
    await deliveriesOf(trx, endpoint, 10)
    await lastAttempts(trx, tenantId)
  })
  await queueSummaries(new Date(0))
  const report = { id: 'wamid.of no message', status: 'sent', recipient_id: who.e164.slice(1) }
  t.equal(await settled(await connectionOf(shop), report), 'no_message')
  await sql`select 1`.execute(db)
  for (const [name, columns] of Object.entries(EXPECTED))
    t.ok(returned.has(asText(Object.entries(columns))), name)
})
