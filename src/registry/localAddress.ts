import { type LookupAddress, lookup } from 'node:dns';
import { lookup as lookUp } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** Loopback, and the link-local addresses where clouds keep their machines' secrets. */
const machineOnly = new BlockList();
machineOnly.addSubnet('127.0.0.0', 8);
machineOnly.addSubnet('169.254.0.0', 16);
machineOnly.addAddress('0.0.0.0');
machineOnly.addSubnet('::1', 128, 'ipv6');
machineOnly.addAddress('::', 'ipv6');
machineOnly.addSubnet('fe80::', 10, 'ipv6');

const bare = (host: string): string => host.replace(/^\[|\]$/g, '');

/** Written so that it can only be this machine. */
export function isLoopback(host: string): boolean {
  const name = bare(host).toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return isIP(name) !== 0 && isMachineOnly(name) && !/^(?:::ffff:)?169\.254\.|^fe[89ab]/.test(name);
}

function isMachineOnly(address: string): boolean {
  return machineOnly.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** Does a host lead to this machine alone? By its name, or by what the name means here. */
export async function leadsToMachine(host: string): Promise<boolean> {
  const name = bare(host);
  if (isIP(name) !== 0) return isMachineOnly(name);
  const found = await lookUp(name, { all: true }).catch(() => []);
  return found.some(({ address }) => isMachineOnly(address));
}

/** Looks names up, and answers no address of this machine's own for `guarded`: a registry elsewhere has no business there. */
export function lookupOutside(guarded: string): LookupFunction {
  return (hostname, options, answer) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return answer(error, [] as LookupAddress[]);
      if (hostname === guarded && addresses.some(({ address }) => isMachineOnly(address)))
        return answer(new Error(`${hostname} leads to this machine`), [] as LookupAddress[]);
      if (options.all) return answer(null, addresses);
      return answer(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}
