import { channel } from 'node:diagnostics_channel'

/** The steps of every message (app/messages/claim.ts, send.ts, record.ts). */
const STEPS = [
  'started',
  'claiming',
  'claimed',
  'sending',
  'answered',
  'recording',
  'recorded',
] as const

/**
 * The steps at which a crash could leave something half done, in the order of a call. `npm run chaos` kills the program at
 * each of them. Otherwise a failpoint costs one comparison.
 */
export const FAILPOINTS = [
  // app/web/voicenter.ts
  'cdr:received',
  'cdr:storing',
  'cdr:stored',
  // tasks/voicenter_cdr.ts, app/voicenter/calls.ts
  'voicenter_cdr:started',
  'voicenter_cdr:read',
  'voicenter_cdr:classified',
  'voicenter_cdr:recorded',
  'voicenter_cdr:committed',
  ...STEPS.map(step => `lead_outreach:${step}` as const),
  ...STEPS.map(step => `lead_reminder:${step}` as const),
  // app/web/whatsapp.ts
  'whatsapp:received',
  'whatsapp:storing',
  'whatsapp:stored',
  // tasks/whatsapp_event.ts
  'whatsapp_event:started',
  'whatsapp_event:handled',
  'whatsapp_event:committed',
  // app/web/popup.ts, tasks/live_call.ts
  'popup:received',
  'popup:stored',
  'live_call:started',
  'live_call:applied',
  'live_call:committed',
  ...STEPS.map(step => `owner_notice:${step}` as const),
  ...STEPS.map(step => `opt_out_confirmation:${step}` as const),
  ...STEPS.map(step => `manual:${step}` as const),
] as const
export type Failpoint = (typeof FAILPOINTS)[number]

/** The diagnostics channel, for scripts/chaos and tests. */
export const FAILPOINT_CHANNEL = 'ringback:point'

const passed = channel(FAILPOINT_CHANNEL)

/** Publishes this step. Synchronous, so that a subscriber can end the process here. */
export const failpoint = (point: Failpoint): void => {
  if (passed.hasSubscribers) passed.publish(point)
}
