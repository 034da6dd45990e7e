/** What iPXE makes of a script: its own rules (core/exec.c, core/settings.c, image/script.c) for the few commands our scripts have. */

/** Runs the script and gives each image command with its words expanded. Throws for a command it does not know and for a script that does not boot. */
export function runIpxe(script: string): string[][] {
  if (!/^#!ipxe\s/.test(script)) throw new Error('not a script');
  const settings = new Map<string, string>();
  const images: string[][] = [];
  for (const line of script.replaceAll(/\\\r?\n/g, '').split(/\r?\n/)) {
    for (const command of commandsOf(line)) {
      const words = command.map((word) => expand(word, settings));
      switch (words[0]) {
        case undefined:
        case 'imgfree':
          break;
        case 'set': {
          const [name, type] = words[1]!.split(':');
          if (type !== 'hex' || words.length !== 3) throw new Error(`set ${words.join(' ')}`);
          settings.set(name!, String.fromCharCode(Number.parseInt(words[2]!, 16)));
          break;
        }
        case 'kernel':
        case 'initrd':
          images.push(words);
          break;
        case 'boot':
          return images;
        default:
          throw new Error(`${words[0]}: command not found`);
      }
    }
  }
  throw new Error('the script ends without boot');
}

/** All succeed, so what follows `||` does not run. */
function commandsOf(line: string): string[][] {
  const commands: string[][] = [[]];
  for (const word of line.split(/[ \t\v\f]+/).filter((one) => one !== '')) {
    if (word.startsWith('#') || word === '||') break;
    if (word === '&&' || word === ';') commands.push([]);
    else commands.at(-1)!.push(word);
  }
  return commands;
}

/** The last `${` before the first `}` after one, again and again until there is none. */
function expand(word: string, settings: ReadonlyMap<string, string>): string {
  let text = word;
  for (;;) {
    const open = text.indexOf('${');
    const end = open < 0 ? -1 : text.indexOf('}', open);
    if (end < 0) return text;
    const start = text.lastIndexOf('${', end);
    const [name = ''] = text.slice(start + 2, end).split(':');
    text = text.slice(0, start) + (settings.get(name) ?? '') + text.slice(end + 1);
  }
}
