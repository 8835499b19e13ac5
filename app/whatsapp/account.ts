/** What Meta's Graph API tells about a number: whether the token may use it, and which account it belongs to. */
import { z } from 'zod'
import { refusalIn, requestGraph } from './graph.ts'

export type GraphAnswer =
  /**
   * `displayNumber` as Graph writes it. Null = Graph did not tell. `isAccountWrong`: the account that was named does not have
   * this number, and no other one is known.
   */
  | {
      kind: 'confirmed'
      displayNumber: string | null
      wabaId: string | null
      isAccountWrong: boolean
    }
  /** A clear no: the token is not valid (190), or it cannot see such a number (100/33). */
  | { kind: 'refused'; code: number }
  /** No answer, or one that says nothing. */
  | { kind: 'unconfirmed' }

/** For all questions together. */
export const ASK_TIMEOUT_MS = 5000
/** A token of an agency may see very many accounts. */
const MAX_ACCOUNTS = 100

const number = z.object({ id: z.string().optional(), display_phone_number: z.string().optional() })
const numbers = z.object({ data: z.array(z.object({ id: z.string() })) })
const tokenInfo = z.object({
  data: z.object({
    granular_scopes: z
      .array(z.object({ scope: z.string(), target_ids: z.array(z.coerce.string()).optional() }))
      .default([]),
  }),
})

type Question = {
  phoneNumberId: string
  accessToken: string
  /** An account that a person or an event named. It is asked first. */
  wabaId?: string | null | undefined
}

/** Asks Graph about a number. It never throws, and takes five seconds at most. */
export const askGraph = async ({
  phoneNumberId,
  accessToken,
  wabaId,
}: Question): Promise<GraphAnswer> => {
  const signal = AbortSignal.timeout(ASK_TIMEOUT_MS)
  const ask = (path: string) => requestGraph(path, { token: accessToken, signal })
  const about = await ask(`${encodeURIComponent(phoneNumberId)}?fields=id,display_phone_number`)
  const refusal = refusalIn(about)
  if (refusal) {
    const isNo = refusal.code === 190 || (refusal.code === 100 && refusal.error_subcode === 33)
    return isNo ? { kind: 'refused', code: refusal.code } : { kind: 'unconfirmed' }
  }
  const found = number.safeParse(about).data
  if (!found || (found.id ?? phoneNumberId) !== phoneNumberId) return { kind: 'unconfirmed' }

  /** Null = Graph does not tell. */
  const owns = async (account: string): Promise<boolean | null> => {
    const answer = await ask(`${encodeURIComponent(account)}/phone_numbers?fields=id&limit=200`)
    const no = refusalIn(answer)
    if (no) return no.code === 100 && no.error_subcode === 33 ? false : null
    return numbers.safeParse(answer).data?.data.some(({ id }) => id === phoneNumberId) ?? null
  }
  const confirmed = {
    kind: 'confirmed',
    displayNumber: found.display_phone_number ?? null,
  } as const
  const isOwner = wabaId ? await owns(wabaId) : null
  if (wabaId && isOwner) return { ...confirmed, wabaId, isAccountWrong: false }
  for (const account of accountsOf(
    await ask(`debug_token?input_token=${encodeURIComponent(accessToken)}`),
  ))
    if (account !== wabaId && (await owns(account)))
      return { ...confirmed, wabaId: account, isAccountWrong: false }
  return { ...confirmed, wabaId: null, isAccountWrong: isOwner === false }
}

/** The accounts that the token was given, by its granular scopes. */
const accountsOf = (answer: unknown): string[] => {
  const scopes = tokenInfo.safeParse(answer).data?.data.granular_scopes ?? []
  const ids = scopes
    .filter(({ scope }) => scope.startsWith('whatsapp_business_'))
    .flatMap(({ target_ids = [] }) => target_ids)
  return [...new Set(ids)].slice(0, MAX_ACCOUNTS)
}
