/**
 * For models whose file has no chat template, which are base models as a rule: a transcript in plain words, since control
 * tokens of somebody else's format would mean nothing to them.
 */
export const fallbackTemplate = `{{ bos_token }}{% for message in messages %}
{%- if message.role == 'system' %}{{ message.content }}

{% else %}{{ message.role | capitalize }}: {{ message.content }}
{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}Assistant:{% endif %}`
