/** Events of Voicenter's Pop-Up Screen, for the demo, the tests and the fault-injection run. */
import { newCallId } from '../demo/cdr.ts'

/** The fields have the names of Voicenter's page "Pop-Up Screen". */
export type PopupFields = Record<string, unknown> & { ivrid: string; status: string }

const seconds = (at: Date) => Math.floor(at.getTime() / 1000)

/**
 * One call, as the phone of one extension sees it.
 *
 * @param phone the customer, as Voicenter writes numbers here: 972502345678
 * @param fields replace or add fields of every event
 */
export const popupCall = (
  phone: string,
  fields: Partial<PopupFields> = {},
): Record<'ringing' | 'talking' | 'hangup' | 'unanswered', PopupFields> => {
  const now = new Date()
  const common = {
    phone,
    callerName: '',
    ivrid: newCallId(now),
    extenUser: 'SIPNOA01',
    did: '0722776772',
    direction: 'Incoming',
    callStarted: seconds(now),
    isAnswered: 0,
    callAnswered: 0,
    currentCall: { originalCallerID: phone, isInternal: false },
    ...fields,
  }
  const answered = { isAnswered: 1, callAnswered: seconds(now) + 5 }
  return {
    ringing: { ...common, status: 'Ringing' },
    talking: { ...common, ...answered, status: 'Talking' },
    hangup: { ...common, ...answered, status: 'Hangup', cause: 'NORMAL_CLEARING' },
    unanswered: { ...common, status: 'Hangup', cause: 'NO_ANSWER' },
  }
}

/** The same event as the query of a GET, which has fewer fields. */
export const popupQuery = ({ phone, ivrid, extenUser, did, status }: PopupFields): string =>
  new URLSearchParams(
    Object.entries({ phone, ivrid, extenUser, did, statusCall: status }).map(
      ([name, value]): [string, string] => [name, String(value)],
    ),
  ).toString()

/** What Voicenter does with an event: posts it to the URL in CPanel. @returns the HTTP status and the parsed answer */
export const sendPopup = async (url: string, event: PopupFields) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
  })
  return { status: response.status, body: await response.json().catch(() => null) }
}
