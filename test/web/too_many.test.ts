/** A hundred wrong tokens a minute from one address: then 429, but never for whoever has the right one. */
import t from 'tap'
import { business, CDR, contents, OK, post } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

const wrong = async (headers: Record<string, string> = {}) => {
  const response = await fetch(`${CDR}?token=wrong`, { method: 'POST', body: '{}', headers })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: await response.json(),
  }
}

await t.test(
  'after a hundred failures one address hears 429; a valid token is not touched',
  async t => {
    const { token } = await business()
    const before = await contents()
    const answers = await Promise.all(Array.from({ length: 100 }, () => wrong()))
    t.strictSame(
      new Set(answers.map(({ status }) => status)),
      new Set([401]),
      'a hundred are told why',
    )
    t.strictSame(
      await wrong(),
      { status: 429, retryAfter: '60', body: { Err: 1, Errdesc: 'too many wrong tokens' } },
      'the next is not',
    )
    t.strictSame(await contents(), before, 'none of it is stored')

    t.strictSame(await post(push(), { token }), OK, 'same address, right token')
    t.match(
      await post(push(), { headers: { authorization: `Bearer ${token}` } }),
      OK,
      'in whichever form',
    )
    t.match(await wrong(), { status: 429 }, 'which does not pardon the failures')
    t.match(
      await wrong({ 'x-forwarded-for': '203.0.113.9' }),
      { status: 429 },
      'nor does a made-up address, where no router stands in front',
    )
  },
)
