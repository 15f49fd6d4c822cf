// The page's Python: started at the first press, shared by all cards, ended when it hangs.
const LIMITS = { working: 10_000, comparing: 120_000 }; // milliseconds, for the reader's code and for ours
const SENTENCES = {
  deep: "The code calls itself without end, deeper than a page can follow. Python was started anew.",
  large: "The code asks for more memory than a page has. Python was started anew.",
  endless: "It ran for 10 seconds without returning. Look for a loop that never ends. Python was started anew.",
};
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

const python = {
  worker: null, job: null, queue: [], timer: 0, count: 0, stopped: {},

  ask(job) {
    return new Promise((done) => {
      this.queue.push({ ...job, id: ++this.count, done });
      this.next();
    });
  },

  next() {
    if (this.job || !this.queue.length) return;
    const { done, progress, ...message } = this.job = this.queue.shift();
    this.worker ??= this.open();
    this.worker.postMessage({ ...message, sizes: SETTINGS.sizes });
  },

  open() {
    const worker = new Worker(`${SETTINGS.folder}worker.js?v=${SETTINGS.version}`, { type: "module" });
    worker.onmessage = ({ data }) => this.hear(data);
    worker.onerror = (event) => this.fail(`Python could not be loaded. ${event.message ?? ""}`);
    return worker;
  },

  hear(news) {
    clearTimeout(this.timer);
    const { job } = this;
    if (news.kind === "broken") {
      this.fail(news.deep ? SENTENCES.deep : news.large ? SENTENCES.large
        : `Python ended: ${news.text}`);
    } else if (news.kind === "answer" && job?.id === news.id) {
      this.stopped[job.name] = news.stopped;
      this.job = null;
      job.done(news);
      this.next();
    } else if (job) {
      job.progress(news);
      const limit = LIMITS[news.kind];
      if (limit) this.timer = setTimeout(() => this.hang(), limit);
    }
  },

  hang() {
    const { job } = this, html = job?.task === "check" && this.stopped[job.name];
    this.fail(SENTENCES.endless, html);
  },

  fail(error, html) {
    this.worker?.terminate();
    this.worker = null;
    const { job } = this;
    this.job = null;
    job?.done({ task: job.task, status: "stopped", error: html ? null : error, html, printed: "" });
    this.next();
  },
};
