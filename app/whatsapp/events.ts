import { z } from 'zod'

/**
 * The updates we act upon, as Meta's "Webhooks reference" describes them. Loose objects, and nearly everything
 * optional: what Meta adds or leaves out must not keep us from what we need.
 */

const contacts = z
  .array(
    z.looseObject({
      wa_id: z.string().optional(),
      user_id: z.string().optional(),
      profile: z.looseObject({ name: z.string().optional() }).optional(),
    }),
  )
  .catch([])

const caption = z.looseObject({ caption: z.string().optional() }).optional().catch(undefined)

export const messageEvent = z.object({
  contacts,
  item: z.looseObject({
    id: z.string().min(1),
    from: z.string().optional(),
    from_user_id: z.string().optional(),
    type: z.string().catch('unknown'),
    context: z.looseObject({ id: z.string().optional() }).optional().catch(undefined),
    text: z.looseObject({ body: z.string() }).optional().catch(undefined),
    button: z
      .looseObject({ payload: z.string().optional(), text: z.string().optional() })
      .optional()
      .catch(undefined),
    interactive: z
      .looseObject({
        button_reply: z
          .looseObject({ id: z.string().optional(), title: z.string().optional() })
          .optional(),
        list_reply: z
          .looseObject({ id: z.string().optional(), title: z.string().optional() })
          .optional(),
      })
      .optional()
      .catch(undefined),
    reaction: z
      .looseObject({ message_id: z.string().optional(), emoji: z.string().optional() })
      .optional()
      .catch(undefined),
    system: z
      .looseObject({
        type: z.string().optional(),
        wa_id: z.string().optional(),
        user_id: z.string().optional(),
      })
      .optional()
      .catch(undefined),
    image: caption,
    video: caption,
    document: caption,
  }),
})
export type MessageEvent = z.infer<typeof messageEvent>

export const statusEvent = z.object({
  item: z.looseObject({
    id: z.string().min(1),
    status: z.string(),
    /** Unix seconds, as text. */
    timestamp: z.coerce.number().optional().catch(undefined),
    recipient_id: z.string().optional(),
    biz_opaque_callback_data: z.string().optional(),
    pricing: z.looseObject({ category: z.string().optional() }).optional().catch(undefined),
    errors: z
      .array(z.looseObject({ code: z.number().int() }))
      .optional()
      .catch(undefined),
  }),
})
export type StatusEvent = z.infer<typeof statusEvent>['item']

export const preferenceEvent = z.object({
  contacts,
  item: z.looseObject({
    wa_id: z.string().optional(),
    user_id: z.string().optional(),
    value: z.string(),
  }),
})

export const echoEvent = z.object({
  item: z.looseObject({
    id: z.string().min(1),
    to: z.string().optional(),
    to_user_id: z.string().optional(),
  }),
})

export const templateEvent = z.object({
  item: z.looseObject({
    event: z.string(),
    message_template_name: z.string(),
    message_template_language: z.string(),
  }),
})
