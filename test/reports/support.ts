/** Updates as Meta sends them, with the times of the test. */
import { randomInt } from 'node:crypto'
import { type Business, work } from '../support/ringback.ts'
import { change, deliver, envelope } from '../support/whatsapp.ts'

export const wamid = () => `wamid.O${randomInt(1e12)}`
export const ago = (seconds: number) => String(Math.floor(Date.now() / 1000) - seconds)
export const text = (body: string) => ({ type: 'text', text: { body } })

export const written = (from: object, secondsAgo: number, fields: object) => ({
  messages: [{ ...from, id: wamid(), timestamp: ago(secondsAgo), ...fields }],
})
export const echo = (to: string, secondsAgo: number) => ({
  message_echoes: [{ from: '972', to, id: wamid(), timestamp: ago(secondsAgo), ...text('היי') }],
})
export const preference = (phone: string, secondsAgo: number, value: string) => ({
  user_preferences: [
    { wa_id: phone.slice(1), category: 'marketing_messages', value, timestamp: +ago(secondsAgo) },
  ],
})
export const talk = (phone: string, secondsAgo: number) => ({
  calls: [
    {
      id: `wacid.O${randomInt(1e12)}`,
      from: phone.slice(1),
      event: 'terminate',
      status: 'COMPLETED',
      direction: 'USER_INITIATED',
      duration: 5,
      timestamp: ago(secondsAgo),
    },
  ],
})
/** Delivers these values of a field in one POST, and runs the jobs. */
export const delivered = async (
  { phoneNumberId }: Business,
  values: object[],
  field = 'messages',
) => {
  await deliver(envelope(...values.map(value => change(phoneNumberId, { ...value }, field))))
  await work(8)
}
export const from = ({ e164 }: { e164: string }) => ({ from: e164.slice(1) })
