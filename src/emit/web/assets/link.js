// The socket to the service: says hello, comes back when it was cut, keeps the two clocks together, and hands on
// what comes. docs/protocol.md describes what is said.

const BACK_OFF_MS = [250, 500, 1000, 2000, 4000];
const CLOCK_EVERY_MS = 2000;
const CLOCKS_KEPT = 15;

export class Link extends EventTarget {
  constructor(token) {
    super();
    this.token = token;
    this.open = false;
    this.welcome = null;
    this.tries = 0;
    this.clocks = [];
    this.asked = new Map();
    this.next = 1;
    this.barred = false;
  }

  start() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("open", () => this.say({ do: "hello", ...(this.token ? { token: this.token } : {}) }));
    socket.addEventListener("message", (event) => this.heard(event.data));
    socket.addEventListener("close", () => this.cut());
  }

  useToken(token) {
    this.token = token;
    this.barred = false;
    if (this.socket.readyState === WebSocket.CLOSED) this.start();
    else this.socket.close();
  }

  cut() {
    this.open = false;
    this.welcome = null;
    this.clocks = [];
    clearInterval(this.ticking);
    for (const answer of this.asked.values()) answer(null);
    this.asked.clear();
    this.tell("cut");
    if (this.barred) return;
    const wait = BACK_OFF_MS[Math.min(this.tries, BACK_OFF_MS.length - 1)];
    this.tries += 1;
    setTimeout(() => this.start(), wait);
  }

  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // Asks for a command; the answer is the service's, or null when the link broke meanwhile.
  ask(request) {
    return this.answered((id) => ({ do: "ask", request: { ...request, id } }));
  }

  // Asks for a correction of an earlier exam, which is answered in the same way.
  correct(correction) {
    return this.answered((id) => ({ do: "correct", id, ...correction }));
  }

  answered(message) {
    const id = this.next++;
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.resolve(null);
    const answer = new Promise((resolve) => this.asked.set(id, resolve));
    this.say(message(id));
    return answer;
  }

  tell(what, detail) {
    this.dispatchEvent(new CustomEvent(what, { detail }));
  }

  heard(message) {
    if (message instanceof ArrayBuffer) return this.tell("frame", message);
    const line = JSON.parse(message);
    if (line.event) return this.tell("line", line);
    switch (line.page) {
      case "welcome":
        this.open = true;
        this.tries = 0;
        this.welcome = line;
        this.tick();
        this.ticking = setInterval(() => this.tick(), CLOCK_EVERY_MS);
        return this.tell("welcome", line);
      case "control": return this.tell("control", line.holder);
      case "clock": return this.clock(line);
      case "reply": {
        const answer = this.asked.get(line.reply.id);
        this.asked.delete(line.reply.id);
        return answer?.(line.reply);
      }
      case "refused":
        if (line.refusal.code === "not_allowed" && !this.open) this.barred = true;
        return this.tell("refused", line.refusal);
    }
  }

  tick() {
    this.say({ do: "clock", at: performance.now() });
  }

  // Of the last answers the quickest tells best what the other clock said in the middle of its way.
  clock({ at, now_us }) {
    if (now_us === undefined) return;
    const now = performance.now();
    this.clocks.push({ round: now - at, offset: now_us / 1000 - (at + now) / 2 });
    this.clocks.splice(0, Math.max(0, this.clocks.length - CLOCKS_KEPT));
  }

  // Milliseconds since a moment of the service's clock; null while that is not known.
  since(at_us) {
    if (this.clocks.length === 0) return null;
    const best = this.clocks.reduce((a, b) => (b.round < a.round ? b : a));
    return performance.now() + best.offset - at_us / 1000;
  }

  async fetch(path) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch(path, { headers });
    if (!answer.ok) throw new Error((await answer.text()).trim() || String(answer.status));
    return answer;
  }
}
