function say(text, kind) {
  const line = document.createElement('p');
  line.className = kind;
  line.textContent = text;
  document.getElementById('log').append(line);
}

async function send(text) {
  say(text, 'mine');
  try {
    const answer = await fetch('/chat', {method: 'POST', body: text});
    const content = await answer.json();
    say(content.reply ?? `Refused by the gateway: ${content.reason}`,
        content.accepted ? 'theirs' : 'bad');
  } catch {
    say('The request was stopped in the browser.', 'bad');
  }
}

document.getElementById('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = document.getElementById('text');
  send(input.value);
  input.value = '';
});
