/** The numbers customers dial come and go; what nobody could place is judged again. */
import { test } from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import {
  business,
  contents,
  customer,
  db,
  verdictsOf,
  webhookToken,
  work,
} from '../support/ringback.ts'
import { tell } from '../tasks/support.ts'
import { act, auditSince, OPERATOR, refusalOf } from './support.ts'
import { addNumber, removeNumber, tenantNumber } from '../../app/tenants/numbers.ts'

let last = 0
/** A line that no other test uses. */
const line = () => {
  const local = `073${String(2_000_000 + ++last)}`
  return { local, e164: `+972${local.slice(1)}` }
}
const add = (tenantId: string, phone: string) =>
  act(trx => addNumber(trx, OPERATOR, tenantNumber.parse({ tenantId, phone })))
const remove = (tenantId: string, phone: string) =>
  act(trx => removeNumber(trx, OPERATOR, tenantNumber.parse({ tenantId, phone })))
const numbersOf = async (tenantId: string) => {
  const rows = await db
    .selectFrom('tenant_numbers')
    .select('phone')
    .where('tenant_id', '=', tenantId)
    .execute()
  return rows.map(({ phone }) => phone)
}

await test('a number is added once, and calls that it explains are judged again', async t => {
  const shop = await business()
  const branch = line()
  const unbound = await webhookToken(null)
  const calls = [1, 2].map(() => push({ caller: customer().local, did: branch.local }))
  const elsewhere = push({ caller: customer().local, did: line().local })
  await tell(shop.token, ...calls, elsewhere)
  const [first, second] = calls
  const stranger = await business()
  const theirs = push({ caller: customer().local, did: branch.local })
  await tell(stranger.token, theirs)
  const open = push({ caller: customer().local, did: branch.local })
  await tell(unbound, open)
  t.strictSame(await verdictsOf(shop.tenantId, first?.ivruniqueid ?? ''), [
    ['unmatched_number', 'number_dialled'],
  ])

  const written = await auditSince(shop.tenantId)
  // Not the stranger's, whose token says whose call it is.
  t.strictSame(await add(shop.tenantId, branch.local), {
    phone: branch.e164,
    added: true,
    judgedAgain: 3,
  })
  await work()
  for (const record of [first, second, open])
    t.strictSame(await verdictsOf(shop.tenantId, record?.ivruniqueid ?? ''), [
      ['missed', 'noanswer'],
    ])
  t.strictSame(await verdictsOf(shop.tenantId, elsewhere.ivruniqueid), [
    ['unmatched_number', 'number_dialled'],
  ])

  t.strictSame(await add(shop.tenantId, branch.e164), {
    phone: branch.e164,
    added: false,
    judgedAgain: 0,
  })
  t.strictSame(await written(), [
    ['operator', 'number.add', `tenant_numbers ${branch.e164}`, null, { phone: branch.e164 }],
  ])
})

await test("another business's number is refused, and nothing is said of whose it is", async t => {
  const [mine, theirs] = [await business(), await business()]
  const before = await contents()
  const taken = (trx: Parameters<typeof addNumber>[0]) =>
    addNumber(trx, OPERATOR, { tenantId: mine.tenantId, phone: theirs.line })
  t.strictSame(await refusalOf(taken), ['number_taken', 'phone'])
  await t.rejects(act(taken), { message: `${theirs.line} belongs to another business already` })
  t.strictSame(await contents(), before)
})

await test('calls to a number that was removed are nobody’s', async t => {
  const shop = await business()
  const branch = line()
  await add(shop.tenantId, branch.local)
  const written = await auditSince(shop.tenantId)
  await remove(shop.tenantId, branch.local)
  t.strictSame(await numbersOf(shop.tenantId), [shop.line])
  const record = push({ caller: customer().local, did: branch.local })
  await tell(shop.token, record)
  t.strictSame(await verdictsOf(shop.tenantId, record.ivruniqueid), [
    ['unmatched_number', 'number_dialled'],
  ])
  t.strictSame(await written(), [
    ['operator', 'number.remove', `tenant_numbers ${branch.e164}`, { phone: branch.e164 }, null],
  ])
})

await test('the last number stays, and so does that of somebody else', async t => {
  const [mine, theirs] = [await business(), await business()]
  await add(theirs.tenantId, line().local)
  const before = await contents()
  const refusal = (phone: string, tenantId = mine.tenantId) =>
    refusalOf(trx => removeNumber(trx, OPERATOR, { tenantId, phone }))
  t.strictSame(await refusal(mine.line), ['last_number', 'phone'])
  t.strictSame(await refusal(theirs.line), ['not_found', null])
  t.strictSame(await refusal(line().e164), ['not_found', null])
  t.strictSame(await refusal(mine.line, '999999'), ['not_found', null])
  t.strictSame(await contents(), before)
})

await test('of two that remove the last two at once, one is refused', async t => {
  const shop = await business()
  const branch = line()
  await add(shop.tenantId, branch.e164)
  const ends = await Promise.allSettled([
    remove(shop.tenantId, shop.line),
    remove(shop.tenantId, branch.e164),
  ])
  t.strictSame(ends.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  t.equal((await numbersOf(shop.tenantId)).length, 1)
})
