import type { Push } from '../demo/cdr.ts'

/** A record of the Call Log, under the names of Voicenter's "Call Log" page. */
export type LogRecord = Record<string, unknown> & { Date: string }

/** CdrType of the types that are pushed by name. */
const CDR_TYPES: Record<string, number> = {
  'Incoming Call': 1,
  'Extension Outgoing': 4,
  Queue: 8,
  'Click2Call leg1': 9,
  'Click2Call leg2': 10,
  VoiceMail: 11,
  XferCDR: 13,
  'ProductiveCall Leg1': 14,
  'ProductiveCall Leg2': 15,
  'Click 2 IVR': 17,
}

/**
 * The same call as the log has it: other names, and its start in GMT where the push has Israel's clock.
 *
 * @param at when it began
 */
export const logged = (push: Push, at: Date): LogRecord => ({
  CallerNumber: push['caller'],
  TargetNumber: push['target'],
  Date: at.toISOString().replace(/\.\d+Z$/, 'Z'),
  DateEpoch: Math.floor(at.getTime() / 1000),
  Duration: push['duration'],
  CallID: push.ivruniqueid,
  Type: push['type'],
  CdrType: CDR_TYPES[String(push['type'])] ?? 0,
  DialStatus: push['status'],
  TargetExtension: push['targetextension'],
  CallerExtension: push['callerextension'],
  DID: push['did'],
  QueueName: push['queuename'],
  RecordURL: '',
  RecordExpect: false,
  Price: 0,
  RingTime: push['dialtime'],
  RepresentativeName: push['representative_name'],
  RepresentativeCode: push['representative_code'],
  DTMFData: [],
  CustomData: push['OriginalIvrUniqueID']
    ? { OriginalIvrUniqueID: push['OriginalIvrUniqueID'] }
    : {},
  DepartmentName: 'Sales',
})
