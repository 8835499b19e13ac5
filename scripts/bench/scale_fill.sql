-- Fills an empty, migrated database with two months of 300 tenants: 1,000,000 CDRs, 300,000 missed calls with their outreach,
-- and 100,000 jobs that are due in 10 to 40 days. The data is the same every time, except for the moment at which it ends.
-- It keeps the program's rules: every CDR is classified, every conversation has ended or has its jobs, and the worker finds
-- nothing to do. The tenants have no WhatsApp connection, because only the program can encrypt its token.

begin;
set local synchronous_commit = off;
set local work_mem = '128MB';
do $$ begin perform setseed(0.42); end $$;

insert into tenants (name, mode) select 'Business ' || n, 'live' from generate_series(1, 300) n;
insert into tenant_numbers (tenant_id, phone) select n, '+97272' || 2000000 + n from generate_series(1, 300) n;

-- The calls in order. The first tenant has every seventh call, the last tenant ten calls a day. Some customers call again.
-- `luck` decides the verdict of the call, `fate` the outreach after a missed call.
create temporary table made on commit drop as
select n, tenant, at, luck, fate, to_char(at at time zone 'Asia/Jerusalem', 'YYYYMMDDHH24MISS') || substr(md5(n::text), 1, 12) as call_id,
       '+97252' || lpad((((200 + 40000 / tenant) * customer)::bigint * 7919 % 9999991)::text, 7, '0') as phone,
       '+97272' || 2000000 + tenant as line
from (
  select n, 1 + floor(300 * power(random(), 3))::int as tenant, random() as fate, random() as customer, n % 10 as luck,
         now() - interval '2 minutes' - interval '60 days' * (1000000 - n) / 1000000 - interval '3 minutes' * random() as at
  from generate_series(1, 1000000) n
) calls;

insert into raw_cdrs (token_tenant_id, tenant_id, call_id, root_call_id, payload, body, content_hash, received_at,
                      called_at, clock, business_phone, customer_phone, reached_phone, reached_until, verdict, reason)
select tenant, tenant, call_id, call_id, payload, convert_to(text, 'UTF8'), sha256(convert_to(text, 'UTF8')),
       at + interval '2 minutes', at, 'plain', line, phone, case when luck between 3 and 7 then phone end,
       case when luck between 3 and 7 then at + interval '1 second' * (35 + n % 60 + n % 300) end, verdict, reason
from made,
lateral (select case when luck < 3 then 'missed' when luck < 8 then 'answered' else 'not_inbound' end as verdict,
                case when luck < 3 then 'noanswer' when luck < 8 then 'agent' else 'outgoing' end as reason) v,
lateral (select jsonb_build_object(
  'ivruniqueid', call_id, 'caller', '0' || substr(phone, 5), 'target', case when luck < 3 then '' else 'SIP' || tenant end,
  'did', '0' || substr(line, 5), 'time', extract(epoch from at)::bigint, 'type', case when luck < 8 then 'Incoming Call' else 'Click2Call leg2' end,
  'status', case when luck < 3 then 'NOANSWER' else 'ANSWER' end, 'duration', case when luck < 3 then 0 else 30 + n % 300 end,
  'dialtime', n % 60, 'ringtime', n % 60, 'record', case when luck < 3 then '' else 'https://records.example/' || md5(call_id) || '.mp3' end,
  'targetextension', case when luck < 3 then '' else 'SIP' || tenant end, 'callerextension', '', 'representative_name', 'נציגה ' || tenant,
  'queueid', tenant * 10, 'queuename', 'תור שירות לקוחות', 'price', 0, 'targetprefixname', 'Israel Mobile', 'callerprefixname', 'Israel Mobile',
  'IVR', jsonb_build_array(
    jsonb_build_object('layer_id', tenant * 100, 'layer_name', 'תפריט ראשי', 'layer_number', 1, 'dtmf', n % 10, 'dtmf_order', 1),
    jsonb_build_object('layer_id', tenant * 100 + 1, 'layer_name', 'שירות לקוחות', 'layer_number', 2, 'dtmf', n % 7, 'dtmf_order', 2),
    jsonb_build_object('layer_id', tenant * 100 + 2, 'layer_name', 'תור', 'layer_number', 3, 'dtmf', '', 'dtmf_order', 3)),
  'customdata', jsonb_build_object('OriginalIvrUniqueID', '', 'campaign', md5(phone))) as payload) p,
lateral (select payload::text) as t (text)
order by n;

insert into leads (tenant_id, phone, missed_call_count, state, created_at)
select tenant, phone, count(*), 'contacted', min(at) + interval '2 minutes'
from made where luck < 3 group by tenant, phone order by min(n);

-- The last call of 50,000 leads waits for its message, that of 25,000 other leads for both reminders. All others have ended.
create temporary table missed on commit drop as
select m.*, l.id as lead_id, case
    when is_last and chosen <= 50000 then 'scheduled/waiting' when is_last and chosen <= 75000 then 'sent/accepted'
    when fate < 0.55 then 'sent/accepted' when fate < 0.7 then 'skipped/already_contacted' when fate < 0.8 then 'cancelled/reached_by_phone'
    when fate < 0.85 then 'skipped/too_late' when fate < 0.9 then 'cancelled/owner_replied' when fate < 0.995 then 'cancelled/replied'
    else 'failed/refused' end as became,
  is_last and chosen between 50001 and 75000 as is_open
from (select *, n = max(n) over (partition by tenant, phone) as is_last from made where luck < 3) m
join (select id, tenant_id, phone, row_number() over (order by md5(id::text)) as chosen from leads) l
  on l.tenant_id = m.tenant and l.phone = m.phone;

insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at, outreach_state,
                          outreach_reason, outreach_due_at, created_at)
select tenant, lead_id, call_id, phone, line, 'NOANSWER', at, split_part(became, '/', 1), split_part(became, '/', 2),
       case when became = 'scheduled/waiting' then now() + interval '10 days' + interval '30 days' * fate
            when became not like 'skipped/%' then at + interval '4 minutes' end,
       at + interval '2 minutes'
from missed order by n;

insert into lead_conversations (tenant_id, lead_id, missed_call_id, state, reason, created_at)
select k.tenant_id, m.lead_id, k.id, s.state, nullif(s.state, 'open'), k.outreach_due_at
from missed m join missed_calls k on k.tenant_id = m.tenant and k.call_id = m.call_id,
lateral (select case when is_open then 'open' when became = 'failed/refused' then 'stopped'
                else (array['replied', 'unresponsive', 'reached_by_phone'])[1 + k.id % 3] end as state) s
where became in ('sent/accepted', 'failed/refused') order by m.n;

insert into messages (tenant_id, lead_conversation_id, direction, kind, state, due_at, claimed_at, accepted_at, attempts,
                      wamid, wa_id, created_at)
select k.tenant_id, c.id, 'out', 'initial', case k.outreach_state when 'sent' then (array['delivered', 'read', 'read'])[1 + k.id % 3] else 'failed' end,
       k.outreach_due_at, k.outreach_due_at, case k.outreach_state when 'sent' then k.outreach_due_at end, 1,
       case k.outreach_state when 'sent' then 'wamid.' || encode(sha256(k.call_id::bytea), 'base64') end, substr(k.caller_phone, 2), k.outreach_due_at
from lead_conversations c join missed_calls k on k.id = c.missed_call_id order by k.id;
insert into messages (tenant_id, lead_conversation_id, direction, kind, state, reason, due_at, claimed_at, accepted_at, wamid, created_at)
select k.tenant_id, c.id, 'out', 'reminder_' || r, s.state, case s.state when 'cancelled' then c.state end,
       case c.state when 'open' then now() + interval '9 days' * r + interval '10 days' * random()
            else k.outreach_due_at + case r when 1 then interval '2 hours' else interval '24 hours' end end,
       case s.state when 'read' then k.outreach_due_at + interval '1 day' end, case s.state when 'read' then k.outreach_due_at + interval '1 day' end,
       case s.state when 'read' then 'wamid.' || encode(sha256((k.call_id || r)::bytea), 'base64') end, k.outreach_due_at
from lead_conversations c join missed_calls k on k.id = c.missed_call_id, generate_series(1, 2) r,
lateral (select case c.state when 'open' then 'scheduled' when 'unresponsive' then 'read' else 'cancelled' end as state) s
where k.outreach_state = 'sent' order by k.id, r;
insert into messages (tenant_id, lead_conversation_id, lead_id, direction, kind, state, wamid, wa_id, text, created_at)
select k.tenant_id, c.id, k.lead_id, 'in', 'inbound', 'received', 'wamid.' || encode(sha256((k.call_id || 'in')::bytea), 'base64'),
       substr(k.caller_phone, 2), 'אפשר לקבוע תור למחר בבוקר?', k.outreach_due_at + interval '17 minutes'
from lead_conversations c join missed_calls k on k.id = c.missed_call_id where c.state = 'replied' order by k.id;

update leads l set state = s.state from (
  select distinct on (k.lead_id) k.lead_id, case
    when k.outreach_state = 'scheduled' then 'new' when c.state in ('replied', 'unresponsive', 'reached_by_phone') then c.state
    when k.outreach_reason in ('replied', 'reached_by_phone') then k.outreach_reason else 'contacted' end as state
  from missed_calls k left join lead_conversations c on c.missed_call_id = k.id order by k.lead_id, k.id desc
) s where s.lead_id = l.id and s.state <> l.state;

-- One job for each waiting message, as the program adds them.
create temporary table jobs on commit drop as
select row_number() over (order by run_at) as n, j.* from (
  select tenant_id, 'lead_outreach' as task, id::text as entity, outreach_due_at as run_at, 10 as tries,
         json_build_object('tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone) as payload
  from missed_calls where outreach_state = 'scheduled'
union all
  select m.tenant_id, 'lead_reminder', c.id || ':' || right(m.kind, 1), m.due_at, 12, json_build_object(
    'leadId', c.lead_id::text, 'leadConversationId', c.id::text, 'reminderNumber', right(m.kind, 1)::int)
  from messages m join lead_conversations c on c.id = m.lead_conversation_id where m.kind like 'reminder_%' and m.state = 'scheduled'
) j;
select count(added.id) as jobs from (
  select array_agg(row(task, payload, null, run_at, tries::smallint, task || ':' || entity, 0, array['sends', 'sends:' || tenant_id])::graphile_worker.job_spec
                   order by task, entity) as specs
  from jobs group by n / 1000
) batches, graphile_worker.add_jobs(batches.specs) as added;
commit;
