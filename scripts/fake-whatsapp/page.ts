import type { WhatsAppNumber } from './accounts.ts'
import type { FakeWhatsApp, KnownPerson } from './fake.ts'
import { html, type Html } from '../../app/web/ops/html.ts'
import { pageScript, pageStyle } from './page-assets.ts'
import type { InboxMessage, Line } from './people.ts'

const ticks = { sent: '✓', delivered: '✓✓', read: '✓✓', played: '✓✓', failed: '✗' }

const form = (action: string, hidden: Record<string, string>, inside: Html): Html =>
  html`<form
    method="post"
    action="/page/${action}"
    id="${[action, ...Object.values(hidden)].join(' ')}"
  >
    ${Object.entries(hidden).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}${inside}
  </form>`

const time = (at: string): Html => html`<time>${new Date(at).toTimeString().slice(0, 8)}</time>`

const message = (one: InboxMessage, business: string): Html => {
  const last = one.statuses.at(-1)
  const phoneNumberId = one.phoneNumberId
  const buttons = (one.template?.buttons ?? []).map(({ text, payload }) =>
    form(
      'tap',
      { phone: one.to, phoneNumberId, context: one.wamid, text, payload },
      html`<button dir="auto">${text}</button>`,
    ),
  )
  return html`<li class="business">
    <b dir="auto">${business}</b>
    <p dir="auto">${one.text}</p>
    <small
      >${one.template?.name} ${time(one.acceptedAt)}
      <i class="${last?.status}">${last ? ticks[last.status] : '·'}</i></small
    >
    ${buttons}
  </li>`
}

const line = ({ by, text, at }: Line, business: string): Html =>
  html`<li class="${by}">
    <b dir="auto">${by === 'owner' ? `${business} (owner, by hand)` : undefined}</b>
    <p dir="auto">${text}</p>
    <small>${time(at)}</small>
  </li>`

/** One person's phone: the chat, and what she or the business's owner can do now. */
const phone = (fake: FakeWhatsApp, person: KnownPerson): Html => {
  const numbers = fake.numbers()
  const nameOf = (id: string) =>
    numbers.find(({ phoneNumberId }) => phoneNumberId === id)?.name ?? id
  const inbox = fake.inbox(person.phone)
  const chat = [
    ...inbox.map(one => ({ at: one.acceptedAt, item: message(one, nameOf(one.phoneNumberId)) })),
    ...fake
      .lines(person.phone)
      .map(one => ({ at: one.at, item: line(one, nameOf(one.phoneNumberId)) })),
  ].toSorted((one, other) => one.at.localeCompare(other.at))
  const phoneNumberId = inbox.at(-1)?.phoneNumberId ?? numbers[0]?.phoneNumberId ?? ''
  const pair = { phone: person.phone, phoneNumberId }
  const stopped = person.stoppedMarketing.includes(phoneNumberId)
  return html`<section>
    <h2 dir="auto">${person.name} <small>${person.phone}</small></h2>
    <ol>
      ${chat.map(({ item }) => item)}
    </ol>
    ${form('say', pair, html`<input name="text" dir="auto" placeholder="Reply" required /><button>Send</button>`)}
    ${form('owner', pair, html`<input name="text" dir="auto" placeholder="Owner replies from the app" required /><button>Send</button>`)}
    <div>
      ${form('read', pair, html`<button>Read all</button>`)}
      ${form(
        'preference',
        { ...pair, value: stopped ? 'resume' : 'stop' },
        html`<button>${stopped ? 'Resume' : 'Stop'} marketing</button>`,
      )}
    </div>
  </section>`
}

const businesses = (numbers: WhatsAppNumber[]): Html =>
  html`<select name="phoneNumberId">
    ${numbers.map(one => html`<option value="${one.phoneNumberId}">${one.name} ${one.displayNumber}</option>`)}
  </select>`

/** All phones: the part of the page that is refreshed. */
export const phones = (fake: FakeWhatsApp): Html => {
  const everybody = fake.people()
  if (everybody.length === 0)
    return html`<p class="nobody">Nobody has got or written a message yet.</p>`
  return html`${everybody.map(person => phone(fake, person))}`
}

/** The inbox page: what every person sees in WhatsApp, and can do there. */
export const page = (fake: FakeWhatsApp): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Fake WhatsApp</title>
        <style>
          ${{ html: pageStyle }}
        </style>
      </head>
      <body>
        <header>
          <h1>Fake WhatsApp</h1>
          ${form(
            'say',
            {},
            html`<input
                name="phone"
                placeholder="+972501234567"
                pattern="\\+[1-9][0-9]{5,15}"
                required
              />
              <input name="text" dir="auto" placeholder="writes to" required />
              ${businesses(fake.numbers())}<button>Send</button>`,
          )}
        </header>
        <main>${phones(fake)}</main>
        <script>
          ${{ html: pageScript }}
        </script>
      </body>
    </html>`
