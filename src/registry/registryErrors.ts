import { CoppiceError } from '../protocol/errors.ts';
import type { HttpResponse } from './transport.ts';

/** May pass by itself: tried again a few times, and `final` is what is said when that did not help. */
export class TemporaryTrouble extends Error {
  readonly final: CoppiceError;
  readonly retryAfterMs: number | undefined;

  constructor(final: CoppiceError, retryAfterMs?: number) {
    super(final.message);
    this.final = final;
    this.retryAfterMs = retryAfterMs;
  }
}

const UNREACHABLE = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
];
const UNTRUSTED =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|ERR_TLS_CERT|INVALID_CA|ERROR_IN_CERT)/;

/** What went wrong on the way to a registry, in words; what is ours already stays as it is. */
export function connectionTrouble(error: unknown, host: string): Error {
  if (error instanceof CoppiceError || error instanceof TemporaryTrouble) return error;
  if (!(error instanceof Error) || error.name === 'AbortError') return error as Error;
  const { code = '' } = error as NodeJS.ErrnoException;
  if (UNREACHABLE.includes(code)) return noNetwork(host, error.message);
  if (speaksNoTls(error)) return noTls(host);
  if (UNTRUSTED.test(code)) return untrusted(host, error.message);
  return new TemporaryTrouble(noNetwork(host, error.message));
}

/** The server answered our greeting in plain text. */
function speaksNoTls(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return code === 'EPROTO' || /^ERR_SSL_(?:WRONG_VERSION|PACKET_LENGTH|UNSUPPORTED|HTTP_REQUEST)/.test(code);
}

function noTls(host: string): CoppiceError {
  return new CoppiceError('registry_untrusted', `${host} does not speak TLS`, {
    fix: `Where that is meant so, write http://${host}/…; what travels there can be read and changed on the way.`,
    data: { registry: host },
  });
}

function noNetwork(host: string, why: string): CoppiceError {
  return new CoppiceError('no_network', `${host} cannot be reached: ${why}`, {
    fix: 'Look at the network, the name, and HTTPS_PROXY and NO_PROXY where a proxy is needed; then try again.',
    data: { registry: host },
  });
}

function untrusted(host: string, why: string): CoppiceError {
  return new CoppiceError('registry_untrusted', `${host} shows a certificate that nobody here vouches for: ${why}`, {
    fix: `Put the certificate of its authority into /etc/docker/certs.d/${host}/ca.crt or ~/.docker/certs.d/${host}/ca.crt.`,
    data: { registry: host },
  });
}

export function unauthorized(host: string, repository: string, known: boolean, trouble?: string): CoppiceError {
  const what = repository === '' ? 'anything' : repository;
  const who = known ? 'the credentials that are kept for it' : 'somebody it does not know';
  return new CoppiceError('registry_unauthorized', `${host} does not give ${what} to ${who}`, {
    fix: `${trouble === undefined ? '' : `${trouble} `}Check the name; where it is private, log in: coppice login ${host}, or registry_auth.`,
    data: { registry: host },
  });
}

/** Of an answer that is neither what was asked for nor a refusal. */
export function answerTrouble(response: HttpResponse, host: string): TemporaryTrouble | CoppiceError {
  const { status, headers } = response;
  const wait = retryAfter(headers['retry-after']);
  if (status === 429) {
    const when = wait === undefined ? 'later' : `in ${Math.ceil(wait / 1000)} s`;
    const error = new CoppiceError('rate_limited', `${host} has had too many requests from here`, {
      fix: `Try again ${when}; who is logged in may ask more often: coppice login ${host}.`,
      data: { registry: host },
    });
    return new TemporaryTrouble(error, wait);
  }
  const error = new CoppiceError('registry_unavailable', `${host} answers with HTTP ${status}`, {
    fix: 'Try again later, or ask whoever runs it.',
    data: { registry: host, status },
  });
  return status >= 500 || status === 408 ? new TemporaryTrouble(error, wait) : error;
}

/** Seconds or a date. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
