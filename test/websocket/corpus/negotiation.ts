// Negotiating permessage-deflate: offers of clients, and answers of servers.

import type { DeflateOptions } from '#sluice/websocket/extensions.js';

/** What a server answers to an offer. */
export interface OfferCase {
  name: string;
  section: string;
  /** `Sec-WebSocket-Extensions` of the request. */
  offer: string;
  options: DeflateOptions;
  /** `Sec-WebSocket-Extensions` of the response; `none`: it has none, and the handshake succeeds; `malformed`: the handshake is refused with 400. */
  response: string;
}

const takeover: DeflateOptions = { serverContextTakeover: true, clientContextTakeover: true };
const none = 'none';
const malformed = 'malformed';
const neither = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

const row =
  (section: string, options: DeflateOptions) =>
  ([name, offer, response]: readonly [string, string, string]): OfferCase => ({
    name,
    section,
    offer,
    options,
    response,
  });

export const offerCases: readonly OfferCase[] = [
  ...(
    [
      ['permessage-deflate', 'permessage-deflate', neither],
      ['what browsers offer', 'permessage-deflate; client_max_window_bits', neither],
      ['server_no_context_takeover', 'permessage-deflate; server_no_context_takeover', neither],
      ['client_no_context_takeover', 'permessage-deflate; client_no_context_takeover', neither],
      [
        'all parameters',
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=11',
        `${neither}; server_max_window_bits=12; client_max_window_bits=11`,
      ],
      [
        'the same in another order',
        'permessage-deflate; client_max_window_bits=11; server_max_window_bits=12; client_no_context_takeover',
        `${neither}; server_max_window_bits=12; client_max_window_bits=11`,
      ],
    ] as const
  ).map(row('RFC 7692 §7.1', {})),
  ...(
    [
      ['permessage-deflate, with context takeover', 'permessage-deflate', 'permessage-deflate'],
      [
        'server_no_context_takeover is answered',
        'permessage-deflate; server_no_context_takeover',
        'permessage-deflate; server_no_context_takeover',
      ],
      [
        'client_no_context_takeover is answered',
        'permessage-deflate; client_no_context_takeover',
        'permessage-deflate; client_no_context_takeover',
      ],
      ['both are answered', 'permessage-deflate; client_no_context_takeover; server_no_context_takeover', neither],
      ['server_no_context_takeover with a value', 'permessage-deflate; server_no_context_takeover=1', none],
      [
        'server_no_context_takeover with an empty value',
        'permessage-deflate; server_no_context_takeover=""',
        malformed,
      ],
      ['client_no_context_takeover with a value', 'permessage-deflate; client_no_context_takeover=true', none],
      [
        'server_no_context_takeover twice',
        'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
        none,
      ],
      [
        'client_no_context_takeover twice',
        'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
        none,
      ],
    ] as const
  ).map(row('RFC 7692 §7.1.1', takeover)),
  ...[8, 9, 10, 11, 12, 13, 14, 15].flatMap((bits) =>
    (
      [
        [
          `server_max_window_bits=${bits}`,
          `permessage-deflate; server_max_window_bits=${bits}`,
          `permessage-deflate; server_max_window_bits=${bits}`,
        ],
        [
          `client_max_window_bits=${bits}`,
          `permessage-deflate; client_max_window_bits=${bits}`,
          bits === 15 ? 'permessage-deflate' : `permessage-deflate; client_max_window_bits=${bits}`,
        ],
      ] as const
    ).map(row('RFC 7692 §7.1.2', takeover)),
  ),
  ...['7', '16', '0', '08', '15.0', '1e1', '-8', '+9', 'a', '99999999999999999999'].flatMap((value) => {
    const response = none;
    return (
      [
        [`server_max_window_bits=${value}`, `permessage-deflate; server_max_window_bits=${value}`, response],
        [`client_max_window_bits=${value}`, `permessage-deflate; client_max_window_bits=${value}`, response],
      ] as const
    ).map(row('RFC 7692 §7.1.2', takeover));
  }),
  ...(
    [
      ['server_max_window_bits without a value', 'permessage-deflate; server_max_window_bits', none],
      ['client_max_window_bits without a value', 'permessage-deflate; client_max_window_bits', 'permessage-deflate'],
      [
        'server_max_window_bits twice',
        'permessage-deflate; server_max_window_bits=10; server_max_window_bits=10',
        none,
      ],
      ['client_max_window_bits twice', 'permessage-deflate; client_max_window_bits; client_max_window_bits=10', none],
      [
        'a quoted value',
        'permessage-deflate; server_max_window_bits="10"',
        'permessage-deflate; server_max_window_bits=10',
      ],
      [
        'a quoted value with a backslash',
        'permessage-deflate; server_max_window_bits="1\\0"',
        'permessage-deflate; server_max_window_bits=10',
      ],
      ['a quoted value that is too large', 'permessage-deflate; server_max_window_bits="16"', none],
    ] as const
  ).map(row('RFC 7692 §7.1.2', takeover)),
  ...(
    [
      [
        'server_max_window_bits where the server uses less',
        'permessage-deflate; server_max_window_bits=14',
        'permessage-deflate; server_max_window_bits=12',
      ],
      [
        'server_max_window_bits where the server uses more',
        'permessage-deflate; server_max_window_bits=10',
        'permessage-deflate; server_max_window_bits=10',
      ],
      [
        'a server that uses less says so, without being asked',
        'permessage-deflate',
        'permessage-deflate; server_max_window_bits=12',
      ],
    ] as const
  ).map(row('RFC 7692 §7.1.2.1', { ...takeover, serverMaxWindowBits: 12 })),
  ...(
    [
      ['a client that cannot be told to use less', 'permessage-deflate', none],
      [
        'a client that can be told',
        'permessage-deflate; client_max_window_bits',
        'permessage-deflate; client_max_window_bits=10',
      ],
      [
        'a client that would use less',
        'permessage-deflate; client_max_window_bits=9',
        'permessage-deflate; client_max_window_bits=9',
      ],
      [
        'a client that would use more',
        'permessage-deflate; client_max_window_bits=13',
        'permessage-deflate; client_max_window_bits=10',
      ],
      [
        'the second offer, whose client can be told',
        'permessage-deflate, permessage-deflate; client_max_window_bits',
        'permessage-deflate; client_max_window_bits=10',
      ],
    ] as const
  ).map(row('RFC 7692 §7.1.2.2', { ...takeover, clientMaxWindowBits: 10 })),
  ...(
    [
      ['an unknown parameter', 'permessage-deflate; unknown', none],
      ['an unknown parameter with a value', 'permessage-deflate; unknown=1', none],
      [
        'an unknown parameter among known ones',
        'permessage-deflate; client_max_window_bits; x; server_no_context_takeover',
        none,
      ],
      [
        'a second offer where the first one cannot be accepted',
        'permessage-deflate; unknown, permessage-deflate',
        'permessage-deflate',
      ],
      [
        'the first of two offers that can be accepted',
        'permessage-deflate; server_no_context_takeover, permessage-deflate',
        'permessage-deflate; server_no_context_takeover',
      ],
      [
        'two offers that cannot be accepted',
        'permessage-deflate; unknown, permessage-deflate; server_max_window_bits=7',
        none,
      ],
      ['another extension', 'x-webkit-deflate-frame', none],
      ['another extension before it', 'x-webkit-deflate-frame, permessage-deflate', 'permessage-deflate'],
      [
        'another extension behind it, with parameters',
        'permessage-deflate, mux; max-channels=4; flow-control',
        'permessage-deflate',
      ],
      ['another case of letters, which is another extension', 'Permessage-Deflate', none],
    ] as const
  ).map(row('RFC 7692 §5.1', takeover)),
  ...(
    [
      [
        'white space of all kinds',
        ' \t permessage-deflate \t ; \t client_max_window_bits \t = \t 10 \t ',
        'permessage-deflate; client_max_window_bits=10',
      ],
      [
        'no white space',
        'permessage-deflate;client_max_window_bits=10;server_max_window_bits=9',
        'permessage-deflate; server_max_window_bits=9; client_max_window_bits=10',
      ],
      ['empty elements', ', ,permessage-deflate,, ', 'permessage-deflate'],
      [
        'every character of a token',
        "permessage-deflate, x!#$%&'*+-.^_`|~09azAZ; y!#$%&'*+-.^_`|~=z!#$%&'*+-.^_`|~",
        'permessage-deflate',
      ],
      ['an empty field', '', none],
      ['only commas', ', ,', none],
      ['a parameter without a name', 'permessage-deflate; ', malformed],
      ['two semicolons', 'permessage-deflate;; client_max_window_bits', malformed],
      ['a semicolon at the end', 'permessage-deflate; client_max_window_bits;', malformed],
      ['no name', '; client_max_window_bits', malformed],
      ['an equals sign without a value', 'permessage-deflate; client_max_window_bits=', malformed],
      ['an equals sign without a name', 'permessage-deflate; =10', malformed],
      ['two equals signs', 'permessage-deflate; client_max_window_bits=10=10', malformed],
      ['a value of the extension', 'permessage-deflate=1', malformed],
      ['two names', 'permessage-deflate client_max_window_bits', malformed],
      ['a quote that does not end', 'permessage-deflate; client_max_window_bits="10', malformed],
      ['an empty quoted value', 'permessage-deflate; client_max_window_bits=""', malformed],
      ['a quoted value that is not a token', 'permessage-deflate; client_max_window_bits="1 0"', malformed],
      ['a quoted name', '"permessage-deflate"', malformed],
      ['something behind a quoted value', 'permessage-deflate; client_max_window_bits="10"x', malformed],
      ['a character that is not of a token', 'permessage-deflate; client_max_window_bits=1/0', malformed],
      ['a byte beyond ASCII', 'permessage-deflate; \xe4', malformed],
      ['a fault behind an offer that could be accepted', 'permessage-deflate, =', malformed],
    ] as const
  ).map(row('RFC 6455 §9.1', takeover)),
];

/** What a client makes of a server's answer. */
export interface AnswerCase {
  name: string;
  /** What the client offers; undefined if nothing. */
  options: DeflateOptions | undefined;
  answer: string;
  /** What both have agreed on, `none`, or the words of the error that the client fails with. */
  outcome: { server: boolean; client: boolean; serverBits: number; clientBits: number } | 'none' | RegExp;
}

const both = { server: true, client: true, serverBits: 15, clientBits: 15 };

export const answerCases: readonly AnswerCase[] = [
  { name: 'no answer', options: takeover, answer: '', outcome: 'none' },
  { name: 'no answer where nothing was offered', options: undefined, answer: '', outcome: 'none' },
  { name: 'permessage-deflate', options: takeover, answer: 'permessage-deflate', outcome: both },
  {
    name: 'server_no_context_takeover',
    options: takeover,
    answer: 'permessage-deflate; server_no_context_takeover',
    outcome: { ...both, server: false },
  },
  {
    name: 'client_no_context_takeover',
    options: takeover,
    answer: 'permessage-deflate; client_no_context_takeover',
    outcome: { ...both, client: false },
  },
  {
    name: 'both windows',
    options: takeover,
    answer: 'permessage-deflate; server_max_window_bits=10; client_max_window_bits=8',
    outcome: { ...both, serverBits: 10, clientBits: 8 },
  },
  { name: 'both without takeover', options: {}, answer: neither, outcome: { ...both, server: false, client: false } },
  {
    name: 'a client that takes nothing over, whatever the server allows',
    options: { serverContextTakeover: true },
    answer: 'permessage-deflate',
    outcome: { ...both, client: false },
  },
  {
    name: 'a smaller window than was offered',
    options: { ...takeover, serverMaxWindowBits: 12 },
    answer: 'permessage-deflate; server_max_window_bits=11',
    outcome: { ...both, serverBits: 11 },
  },
  {
    name: 'a client that uses less than the server allows',
    options: { ...takeover, clientMaxWindowBits: 10 },
    answer: 'permessage-deflate; client_max_window_bits=13',
    outcome: { ...both, clientBits: 10 },
  },
  {
    name: 'a larger window than was offered',
    options: { ...takeover, serverMaxWindowBits: 12 },
    answer: 'permessage-deflate; server_max_window_bits=13',
    outcome: /server_max_window_bits is 13; expected at most 12/,
  },
  {
    name: 'no window where a smaller one was offered',
    options: { ...takeover, serverMaxWindowBits: 12 },
    answer: 'permessage-deflate',
    outcome: /server_max_window_bits is 15; expected at most 12/,
  },
  {
    name: 'no server_no_context_takeover where it was offered',
    options: {},
    answer: 'permessage-deflate',
    outcome: /server_no_context_takeover is missing; expected it, since it was offered/,
  },
  {
    name: 'client_max_window_bits without a value',
    options: takeover,
    answer: 'permessage-deflate; client_max_window_bits',
    outcome: /client_max_window_bits has no value/,
  },
  {
    name: 'server_max_window_bits without a value',
    options: takeover,
    answer: 'permessage-deflate; server_max_window_bits',
    outcome: /server_max_window_bits is true; expected a whole number from 8 to 15/,
  },
  {
    name: 'a window of 2^7',
    options: takeover,
    answer: 'permessage-deflate; server_max_window_bits=7',
    outcome: /server_max_window_bits is 7/,
  },
  {
    name: 'a window of 2^16',
    options: takeover,
    answer: 'permessage-deflate; client_max_window_bits=16',
    outcome: /client_max_window_bits is 16/,
  },
  { name: 'an unknown parameter', options: takeover, answer: 'permessage-deflate; x', outcome: /x is unknown/ },
  {
    name: 'a parameter twice',
    options: takeover,
    answer: 'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
    outcome: /client_no_context_takeover is there twice/,
  },
  {
    name: 'a value where there must be none',
    options: takeover,
    answer: 'permessage-deflate; server_no_context_takeover=1',
    outcome: /server_no_context_takeover has a value/,
  },
  {
    name: 'an extension that was not offered',
    options: takeover,
    answer: 'mux',
    outcome: /the extension mux; expected permessage-deflate, or none/,
  },
  {
    name: 'another extension besides',
    options: takeover,
    answer: 'permessage-deflate, mux',
    outcome: /the extensions permessage-deflate, mux/,
  },
  {
    name: 'the extension twice',
    options: takeover,
    answer: 'permessage-deflate, permessage-deflate',
    outcome: /the extensions permessage-deflate, permessage-deflate/,
  },
  {
    name: 'an answer where nothing was offered',
    options: undefined,
    answer: 'permessage-deflate',
    outcome: /the extension permessage-deflate; expected none/,
  },
];
