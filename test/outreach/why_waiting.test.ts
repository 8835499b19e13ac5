/** Why a message has not gone out yet: what a person can do something about comes first. */
import t from 'tap'
import { type PendingMessage, type WhyWaiting, whyWaiting } from '../../app/outreach/rules.ts'

const now = new Date('2026-11-15T12:00:00Z')
const due: PendingMessage = {
  kind: 'initial',
  dueAt: new Date('2026-11-15T11:59:00Z'),
  now,
  mode: 'live',
  quietWindows: [],
  timezone: 'Asia/Jerusalem',
  connection: 'active',
  templatePaused: false,
  isMarketing: false,
  before: null,
  jobDead: false,
}
const later = new Date('2026-11-15T12:02:00Z')

const CASES: [string, Partial<PendingMessage>, WhyWaiting][] = [
  ['it is due and nothing is in its way', {}, 'any_moment'],
  ['its time has not come', { dueAt: later }, 'not_yet'],
  ['it is due this very moment', { dueAt: now }, 'any_moment'],
  ['nobody is written to at two in the afternoon', { quietWindows: ['13:00-16:00'] }, 'quiet'],
  ['the quiet hours are over', { quietWindows: ['21:00-14:00'] }, 'any_moment'],
  [
    'its time comes before the quiet hours end',
    { dueAt: later, quietWindows: ['13:00-16:00'] },
    'not_yet',
  ],
  ['the number is paused', { connection: 'paused' }, 'connection_paused'],
  [
    'the number is paused, and its time has not come',
    { connection: 'paused', dueAt: later },
    'connection_paused',
  ],
  ['there is no number', { connection: null }, 'no_connection'],
  ['the template is paused', { templatePaused: true }, 'template_paused'],
  [
    'free text needs no template',
    { templatePaused: true, kind: 'opt_out_confirmation' },
    'any_moment',
  ],
  [
    'a reminder whose first message nobody has reported',
    { kind: 'reminder_1', before: 'accepted' },
    'previous_not_sent',
  ],
  [
    'a reminder after a message that was read',
    { kind: 'reminder_2', before: 'read' },
    'any_moment',
  ],
  ['the business is paused', { mode: 'paused', connection: 'paused' }, 'tenant_paused'],
  ['the business tries it out', { mode: 'shadow', connection: null }, 'shadow'],
  ['its job failed to the end', { jobDead: true, mode: 'paused' }, 'job_dead'],
]

for (const [name, facts, why] of CASES)
  t.test(name, async t => t.equal(whyWaiting({ ...due, ...facts }), why))
