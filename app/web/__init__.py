"""The application: synchronous code that knows neither gevent nor the server it runs in."""
