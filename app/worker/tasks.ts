import type { TaskList } from 'graphile-worker'
import leadOutreach from '../../tasks/lead_outreach.ts'
import leadReminder from '../../tasks/lead_reminder.ts'
import voicenterCdr from '../../tasks/voicenter_cdr.ts'
import type { TaskName } from '../db/jobs.ts'

/**
 * Every task by its name. A list and not the folder: the compiler sees that none is missing, and no
 * stray file in tasks/ can become one.
 */
export const taskList = {
  voicenter_cdr: voicenterCdr,
  lead_outreach: leadOutreach,
  lead_reminder: leadReminder,
} satisfies Record<TaskName, TaskList[string]>
