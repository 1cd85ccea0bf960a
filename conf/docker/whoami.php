<?php
// Prints who calls. What the request's headers say of the client counts only because the gateway itself is verified: anybody
// else who reaches this API could write them too.
$isGateway = $_SERVER['VERIFIED'] === 'SUCCESS';

header('Content-Type: application/json');
echo json_encode([
    'method' => $_SERVER['REQUEST_METHOD'],
    'path' => $_SERVER['REQUEST_URI'],
    'gateway' => ['VERIFIED' => $_SERVER['VERIFIED'], 'DN' => $_SERVER['DN']],
    'client' => $isGateway
        ? ['VERIFIED' => $_SERVER['HTTP_VERIFIED'] ?? null, 'DN' => $_SERVER['HTTP_DN'] ?? null]
        : null,
], JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES), "\n";
