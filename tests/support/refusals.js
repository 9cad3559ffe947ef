// Every refusal of the contract: status, message and machine-readable reason.
export const refusals = {
    bookNotFound: [404, 'Coupon book not found', 'coupon_book_not_found'],
    bookRequired: [
        400,
        'couponBookId is required unless there is exactly one coupon book',
        'coupon_book_required',
    ],
    codesExist: [409, 'Some codes already exist', 'codes_already_exist'],
    noneAvailable: [404, 'No available coupons found', 'no_available_coupons'],
    codeNotFound: [404, 'Coupon code not found', 'coupon_not_found'],
    bookArchived: [409, 'Coupon book has been archived', 'coupon_book_archived'],
    bookInactive: [409, 'Coupon book is not active', 'coupon_book_inactive'],
    bookNotStarted: [409, 'Coupon book has not started yet', 'coupon_book_not_started'],
    bookEnded: [409, 'Coupon book has ended', 'coupon_book_ended'],
    disabled: [409, 'Coupon has been disabled', 'coupon_disabled'],
    expired: [409, 'Coupon has expired', 'coupon_expired'],
    redeemed: [409, 'Coupon has already been redeemed', 'coupon_already_redeemed'],
    anothersCode: [
        409,
        'Coupon is already assigned to another user',
        'coupon_assigned_to_another_user',
    ],
    notAssigned: [409, 'Coupon is not assigned to this user', 'coupon_not_assigned_to_user'],
    locked: [409, 'Coupon is already locked', 'coupon_already_locked'],
    notLocked: [409, 'Coupon must be locked before redemption', 'coupon_not_locked'],
    limitReached: [
        409,
        'User has reached the redemption limit of this coupon book',
        'user_redemption_limit_reached',
    ],
};
