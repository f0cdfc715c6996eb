module clinicpay/loadgen

go 1.22
