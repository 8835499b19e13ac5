import type { Response } from 'express'
import { refuse } from './refuse.ts'

/** A browser asks for six things at once; whoever asks for more would keep everybody else waiting. */
const MOST_AT_ONCE = 8
const underWay = new Map<string, number>()

/** All pages share one database connection: no business may take it all. Until the answer is out. */
export const takeTurn = (tenantId: string, res: Response): void => {
  const others = underWay.get(tenantId) ?? 0
  if (others >= MOST_AT_ONCE) refuse(429)
  underWay.set(tenantId, others + 1)
  res.once('close', () => {
    const left = (underWay.get(tenantId) ?? 1) - 1
    if (left === 0) underWay.delete(tenantId)
    else underWay.set(tenantId, left)
  })
}
