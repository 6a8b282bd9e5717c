/** What the measures mean: for reports, the terminal and docs/benchmarking.md alike. Plain text. */
export const definitions: readonly { readonly name: string, readonly text: string }[] = [
  {
    name: 'TTFT',
    text: 'Time to first token: from sending a request to the first chunk with output. ' +
      'Waiting in the server’s queue is part of it.'
  },
  {
    name: 'ITL',
    text: 'Inter-token latency: every gap between two successive chunks with output of one stream; the gaps of all streams ' +
      'are pooled. Chunks that arrive in one read have a gap of 0.'
  },
  {
    name: 'TPOT',
    text: 'Time per output token after the first, one value per request: (E2E − TTFT) / (output tokens − 1). ' +
      'Requests with a single output token have none.'
  },
  { name: 'E2E', text: 'End-to-end latency: from sending a request to the last byte of its answer.' },
  {
    name: 'Throughput',
    text: 'Tokens of completed requests, by the server’s own usage, divided by the duration: from the first send to the end ' +
      'of the last request.'
  },
  {
    name: 'Steady part',
    text: 'The run without both ends: from the moment when the load was first in full to the one when the last request ' +
      'was sent. Runs too short to have such a part have no steady numbers.'
  },
  {
    name: 'Goodput',
    text: 'Requests that meet all objectives, per second. Failed requests never do; they count in the good share, which is ' +
      'that of all requests.'
  },
  { name: 'Failed', text: 'Requests that got an error or no whole answer. No latency is taken from them.' },
  { name: 'Percentiles', text: 'Interpolated linearly between the two nearest values.' },
  {
    name: 'Jain’s index',
    text: '(Σx)² / (n·Σx²): 1 when all n have the same, 1/n when one has everything. ' +
      'It is taken of the share of its requests that each got completed, of mean TTFT and, where tenants have users of ' +
      'their own (a closed loop), of output tokens per user.'
  },
  {
    name: 'Ratio',
    text: 'One server’s value divided by the other’s, for each pair of runs that followed each other; ' +
      'the median, smallest and largest of those are shown.'
  }
]
