// Shows /api-json. Asks no other server for anything: no validator, no remote configuration.
window.ui = SwaggerUIBundle({
    url: '/api-json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    queryConfigEnabled: false,
    tryItOutEnabled: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
    layout: 'BaseLayout',
});
