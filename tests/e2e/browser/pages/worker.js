onmessage = async (event) => {
  postMessage((await fetch(event.data)).status);
};
