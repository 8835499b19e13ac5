import type { TaskList } from 'graphile-worker'
import callLog from '../../tasks/call_log.ts'
import leadOutreach from '../../tasks/lead_outreach.ts'
import leadReminder from '../../tasks/lead_reminder.ts'
import leadSilence from '../../tasks/lead_silence.ts'
import optOutConfirmation from '../../tasks/opt_out_confirmation.ts'
import ownerNotice from '../../tasks/owner_notice.ts'
import retention from '../../tasks/retention.ts'
import voicenterCdr from '../../tasks/voicenter_cdr.ts'
import whatsappEvent from '../../tasks/whatsapp_event.ts'
import type { TaskName } from '../db/jobs.ts'

/**
 * Every task by its name. A list and not the folder: the compiler sees that none is missing, and no
 * stray file in tasks/ can become one.
 */
export const taskList = {
  voicenter_cdr: voicenterCdr,
  lead_outreach: leadOutreach,
  lead_reminder: leadReminder,
  lead_silence: leadSilence,
  whatsapp_event: whatsappEvent,
  opt_out_confirmation: optOutConfirmation,
  owner_notice: ownerNotice,
  call_log: callLog,
  retention,
} satisfies Record<TaskName, TaskList[string]>
