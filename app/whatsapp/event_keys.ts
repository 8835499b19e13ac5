/** The keys by which an update that Meta posts again is recognised. */
import { sha256 } from '../crypto.ts'
import { statusKey } from './webhook.ts'

export const contentKey = (phoneNumberId: string | null, key: string): Buffer =>
  sha256(`${phoneNumberId} ${key}`)

/** The key of a status report. It still identifies the report after retention has emptied it. */
export const reportKey = (phoneNumberId: string, wamid: string, status: string): Buffer =>
  contentKey(phoneNumberId, statusKey(wamid, status))
