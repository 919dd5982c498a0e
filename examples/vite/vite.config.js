/** Pages of the development server talk to a Roomcast server on port 8000 as if it were their own. */
export default {
  server: {
    proxy: {
      "/chat": { target: "http://localhost:8000", ws: true, changeOrigin: true },
    },
  },
};
