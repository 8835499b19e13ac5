-- 50,000 conversations whose two reminders wait, with their 100,000 jobs: due between one hour and a day from now.
-- Into a migrated database; made up, for measuring how prompt messages are and what waiting costs.

insert into tenants (name, mode) values ('waiting', 'live');

with people as (
  insert into leads (tenant_id, phone, state, missed_call_count)
  select currval('tenants_id_seq'), '+97252' || (2000000 + n), 'contacted', 1 from generate_series(1, 50000) n
  returning id, tenant_id, phone
), calls as (
  insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at,
                            outreach_state, outreach_reason, outreach_due_at)
  select tenant_id, id, 'waiting' || id, phone, '+97230000000', 'NOANSWER', now() - interval '3 minutes',
         'sent', 'accepted', now() - interval '1 minute'
  from people returning id, lead_id
)
insert into lead_conversations (lead_id, missed_call_id) select lead_id, id from calls;

insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at, claimed_at)
select l.tenant_id, c.id, 'out', m.kind, m.state, now() + m.after, m.claimed_at
from lead_conversations c join leads l on l.id = c.lead_id,
     lateral (values ('initial', 'delivered', interval '-1 minute', now()),
                     ('reminder_1', 'scheduled', interval '1 hour' + interval '1 second' * (c.id % 3600), null),
                     ('reminder_2', 'scheduled', interval '2 hours' + interval '1 second' * (c.id % 79200), null)
             ) as m (kind, state, after, claimed_at)
where l.tenant_id = currval('tenants_id_seq');

select count(added.id) from (
  select array_agg(row('lead_reminder', json_build_object('leadId', c.lead_id::text, 'leadConversationId', c.id::text,
                         'reminderNumber', right(m.kind, 1)::int), null, m.due_at, 12,
                       'lead_reminder:' || c.id || ':' || right(m.kind, 1), null, null)::graphile_worker.job_spec) as specs
  from messages m join lead_conversations c on c.id = m.lead_conversation_id
  where m.tenant_id = currval('tenants_id_seq') and m.state = 'scheduled') s, graphile_worker.add_jobs(s.specs) as added;
